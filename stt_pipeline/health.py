"""Checks that `stt doctor` and the API's `/health` share: speech model, decoder, mail and dispatcher. They change nothing."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlsplit

from stt_pipeline.audio.sandbox.client import SHARED, DecoderServer, missing_measures_of
from stt_pipeline.backends import NOTIFIERS
from stt_pipeline.batches.execution.dispatch import STALE_AFTER
from stt_pipeline.errors import ConfigurationError, FileError, ModelNotDownloadedError
from stt_pipeline.mail.smtp import DEFAULT_PORTS
from stt_pipeline.settings import Settings
from stt_pipeline.speech.models import find_files, resolve_name

State = Literal["ok", "warn", "fail"]

_MAIL_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check.

    Attributes:
        name: what was checked.
        state: with ``warn`` the product works, with ``fail`` it does not.
        found: what the check found.
        advice: what to do; empty if nothing.
    """

    name: str
    state: State
    found: str
    advice: str = ""


def model(settings: Settings) -> Check:
    """Check the speech model and its device. It downloads nothing."""
    import ctranslate2

    gpus = ctranslate2.get_cuda_device_count()
    if settings.device == "cuda" and not gpus:
        return Check("speech model", "fail", "STT_DEVICE=cuda, but no CUDA GPU is visible", "See nvidia-smi.")
    device: Literal["cpu", "cuda"] = "cuda" if gpus and settings.device != "cpu" else "cpu"
    name = resolve_name(settings.model, device)
    where = f"on {'a GPU' if device == 'cuda' else 'the CPU'}"
    try:
        folder = find_files(name, local_files_only=True)
    except ModelNotDownloadedError:
        return Check(
            "speech model",
            "warn",
            f"{name} {where}; not on this machine yet, so it is downloaded at the first use",
            "Without access to the model hub: download it elsewhere and set STT_MODEL to its folder.",
        )
    except ConfigurationError as error:
        return Check("speech model", "fail", str(error))
    return Check("speech model", "ok", f"{name} {where}, from {folder}")


def decoder(missing_of: Callable[[DecoderServer], list[str]] = missing_measures_of) -> Check:
    """Check that media is decoded in a confined process, and which measures of confinement this kernel lacks."""
    try:
        missing = missing_of(SHARED.server())
    except (ConfigurationError, FileError) as error:
        return Check("decoder", "fail", str(error), "Media cannot be decoded before it starts.")
    walls = "one process a recording, without files, network and environment; limits of memory and time"
    if not missing:
        return Check("decoder", "ok", f"{walls}; seccomp and Landlock")
    return Check(
        "decoder",
        "warn",
        f"{walls}; no {' and no '.join(missing)} on this system",
        "Linux 5.13 or newer on x86_64 or aarch64 has both; a container's profile may forbid them.",
    )


def mail(settings: Settings) -> Check:
    """Check the mail settings; for SMTP, also that the server accepts connections."""
    try:
        NOTIFIERS.create("mailto", settings)
    except ConfigurationError as error:
        return Check("mail", "fail", str(error))
    if not settings.smtp_url:
        return Check("mail", "ok", f".eml files in {settings.outbox}", "Set STT_SMTP_URL to send them.")
    parts = urlsplit(settings.smtp_url)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    try:
        socket.create_connection((host, port), timeout=_MAIL_TIMEOUT).close()
    except OSError as error:
        return Check(
            "mail", "fail", f"{host}:{port}: {error}", "Check STT_SMTP_URL, the server and firewalls."
        )
    return Check("mail", "ok", f"{host}:{port} accepts connections")


def dispatcher(last: datetime | None) -> Check:
    """Check the time of the dispatcher's last tick; None for never."""
    advice = (
        "Start `stt up`: batches need it. If it runs, turn the sensor batchdispatcher on in the Dagster UI."
    )
    if last is None:
        return Check("dispatcher", "warn", "has never ticked", advice)
    age = datetime.now(UTC) - last
    if age > STALE_AFTER:
        return Check("dispatcher", "warn", f"last ticked {last.astimezone():%Y-%m-%d %H:%M:%S %Z}", advice)
    return Check("dispatcher", "ok", f"ticked {age.total_seconds():.0f} s ago")
