"""What `stt doctor` looks at: one function for each thing, each returning what it found and what to do. Changes nothing."""

import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from stt_pipeline.batches.dispatch import HEARTBEAT
from stt_pipeline.cli.claim import running_stack
from stt_pipeline.cli.dispatcher import SILENT
from stt_pipeline.cli.webserver import daemon_beats
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.mail.mailer import load_mailer
from stt_pipeline.mail.smtp import DEFAULT_PORTS
from stt_pipeline.settings import Settings
from stt_pipeline.speech.models import find_files, resolve_name
from stt_pipeline.store import counters
from stt_pipeline.store.address import place_of, psycopg_url, require_reachable
from stt_pipeline.store.database import Database
from stt_pipeline.store.embedded import running_url
from stt_pipeline.store.migrations import is_current
from stt_pipeline.store.postmaster import closed_folders

State = Literal["ok", "warn", "fail"]

_BEAT_SECONDS = 120.0  # Dagster's daemons report every 30 s
_DISK_WARN, _DISK_FAIL = 10 << 30, 1 << 30  # bytes; large-v3 alone takes 3 GB
_MAIL_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's table.

    Attributes:
        name: what was looked at.
        state: ``warn`` is worth knowing, ``fail`` stops work.
        found: how things are.
        advice: what to do, empty if nothing.
    """

    name: str
    state: State
    found: str
    advice: str = ""


def all_checks(settings: Settings) -> Iterator[Check]:
    """Look at everything; the database's checks end at the first that fails."""
    yield python_version()
    yield home(settings)
    yield disk_space(settings)
    yield from database(settings)
    yield dagster(settings)
    yield shell(settings)
    yield model(settings)
    yield mail(settings)


def python_version() -> Check:
    """The interpreter."""
    found = f"{sys.version.split()[0]} ({sys.executable})"
    if (3, 10) <= sys.version_info[:2] < (3, 14):
        return Check("Python", "ok", found)
    return Check("Python", "fail", found, "Use Python 3.10 to 3.13: make setup PYTHON=/path/to/python3.12")


def home(settings: Settings) -> Check:
    """Whether ``STT_HOME`` can be written to, and what root opens for its Postgres."""
    folder = settings.home.absolute()
    existing = _existing(folder)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Check("STT_HOME", "fail", f"{folder} cannot be written", "Set STT_HOME to a folder of yours.")
    if os.geteuid() == 0 and not settings.database_url and (closed := closed_folders(existing / "postgres")):
        opened = ", ".join(map(str, closed))
        return Check(
            "STT_HOME",
            "warn",
            f"{folder}, as root: Postgres' own user has to pass through {opened}, which are opened for that (chmod o+x)",
            "Better run as an ordinary user, or set STT_HOME to a folder outside of private ones.",
        )
    return Check("STT_HOME", "ok", str(folder))


def disk_space(settings: Settings) -> Check:
    """Free space under ``STT_HOME``."""
    free = shutil.disk_usage(_existing(settings.home.absolute())).free
    state: State = "fail" if free < _DISK_FAIL else "warn" if free < _DISK_WARN else "ok"
    return Check(
        "disk",
        state,
        f"{free / (1 << 30):.1f} GiB free",
        "" if state == "ok" else "Make room, or move STT_HOME.",
    )


def database(settings: Settings) -> Iterator[Check]:
    """The server, the schema, and when the dispatcher last ticked."""
    try:
        if settings.database_url:
            require_reachable(settings.database_url)
        url = psycopg_url(settings.database_url) if settings.database_url else running_url(settings)
    except ConfigurationError as error:
        yield Check("Postgres", "fail", str(error))
        return
    if url is None:
        yield Check(
            "Postgres",
            "ok",
            f"embedded in {settings.postgres_folder}, not running now",
            "It starts when needed.",
        )
        return
    yield Check("Postgres", "ok", place_of(url))
    store = Database(url)
    try:
        with store.begin() as connection:
            current = is_current(connection)
            yield (
                Check("schema", "ok", "current")
                if current
                else Check("schema", "fail", "older or newer than this version", "Run `stt db upgrade`.")
            )
            last = counters.last_beat(connection, HEARTBEAT) if current else None
    finally:
        store.dispose()
    if current:
        yield _dispatcher(last)


def dagster(settings: Settings) -> Check:
    """Whether `stt up` runs here, and whether its daemon is alive."""
    stack = running_stack(settings)
    if stack is None:
        return Check(
            "Dagster", "warn", "`stt up` does not run on this STT_HOME", "Start it: batches wait for it."
        )
    try:
        beats = daemon_beats(stack.ui_url)
    except (OSError, ValueError):
        return Check(
            "Dagster", "fail", f"{stack.ui_url} does not answer", f"See {settings.home.absolute() / 'logs'}."
        )
    age = time.time() - min(beats, default=0.0)
    if age > _BEAT_SECONDS:
        logs = settings.home.absolute() / "logs" / "daemon.log"
        return Check("Dagster", "fail", f"UI {stack.ui_url}, but a daemon is silent", f"See {logs}.")
    return Check("Dagster", "ok", f"UI {stack.ui_url}, daemon alive {age:.0f} s ago")


def shell(settings: Settings) -> Check:
    """Which instance a `dagster` command in this shell would meet."""
    found = os.environ.get("DAGSTER_HOME")
    if found and Path(found) == settings.dagster_home:
        return Check("this shell", "ok", f"DAGSTER_HOME is {found}")
    return Check(
        "this shell",
        "warn",
        f"DAGSTER_HOME is {found}, another instance"
        if found
        else "DAGSTER_HOME is not set: `dagster` commands (not `stt`) use a temporary, empty instance",
        'For `dagster` commands: eval "$(stt env)"',
    )


def model(settings: Settings) -> Check:
    """The speech model and where it runs; a model that would have to be downloaded is not."""
    import ctranslate2

    gpus = ctranslate2.get_cuda_device_count()
    if settings.device == "cuda" and not gpus:
        return Check("speech model", "fail", "STT_DEVICE=cuda, but no CUDA GPU is visible", "See nvidia-smi.")
    device: Literal["cpu", "cuda"] = "cuda" if gpus and settings.device != "cpu" else "cpu"
    name = resolve_name(settings.model, device)
    where = f"on {'a GPU' if device == 'cuda' else 'the CPU'}"
    os.environ["HF_HUB_OFFLINE"] = "1"  # of this process: a check downloads nothing
    try:
        folder = find_files(name)
    except ConfigurationError as error:
        if error.__cause__ is None:  # a wrong name or folder
            return Check("speech model", "fail", str(error))
        return Check(
            "speech model",
            "warn",
            f"{name} {where}; not on this machine yet, so it is downloaded when first used",
            "Without a way to the model hub: fetch it elsewhere and set STT_MODEL to its folder.",
        )
    return Check("speech model", "ok", f"{name} {where}, from {folder}")


def mail(settings: Settings) -> Check:
    """Where mails go; for SMTP, whether something listens there."""
    try:
        load_mailer(settings.smtp_url, settings.outbox, settings.mail_from)
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
    return Check("mail", "ok", f"{host}:{port} takes connections")


def _dispatcher(last: datetime | None) -> Check:
    advice = (
        "Start `stt up`: no batch moves without it. If it runs, turn batch_dispatcher on in the Dagster UI."
    )
    if last is None:
        return Check("dispatcher", "warn", "has never ticked", advice)
    age = datetime.now(timezone.utc) - last
    if age > SILENT:
        return Check("dispatcher", "warn", f"last ticked {last.astimezone():%Y-%m-%d %H:%M:%S}", advice)
    return Check("dispatcher", "ok", f"ticked {age.total_seconds():.0f} s ago")


def _existing(path: Path) -> Path:
    """Return ``path`` or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
