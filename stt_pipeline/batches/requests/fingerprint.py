"""Fingerprints of the options that a result depends on: the only module that computes them.

A result is stored with its fingerprint. If the options of its batch, or the settings, have another fingerprint now, the
result is stale. What changes only the speed of the work is not part of a fingerprint.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from stt_pipeline.backends import DIARIZERS, SUMMARIZERS, TRANSCRIBERS, Registry
from stt_pipeline.batches.requests.options import (
    BatchOptions,
    effective_settings,
    speaker_count,
    transcription_options,
)
from stt_pipeline.settings import Settings

# the numbers of models and devices are no options of a result: two workers with different hardware make the same one
_ONLY_SPEED = frozenset({"device", "cpu_threads", "model_batch_size"})

# increase a number when a change of the code makes other results from the same options, and old ones should be stale
_CODE = {"transcript": 1, "speakers": 1, "minutes": 1}

_DIGITS = 16  # of 64: a collision would leave one stale result in place


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """The fingerprints of one batch's options, for each kind of result."""

    transcript: str
    speakers: str
    minutes: str


def fingerprints(settings: Settings, options: BatchOptions) -> Fingerprints:
    """Return the fingerprints of the options of a batch, with the settings for those that it leaves open."""
    return Fingerprints(
        **{
            kind: digest([json.dumps(it, sort_keys=True)])
            for kind, it in option_values(settings, options).items()
        }
    )


def option_values(settings: Settings, options: BatchOptions) -> dict[str, dict[str, Any]]:
    """Return what each fingerprint is made from, as JSON values: the backend, its settings, and the options."""
    effective = effective_settings(settings, options)
    # left out by default, so that results from before this option are not stale
    track = {} if options.audio_track == "auto" else {"audio_track": options.audio_track}
    values: dict[str, dict[str, Any]] = {
        "transcript": {
            "transcriber": _backend(TRANSCRIBERS, effective.transcriber, effective),
            **asdict(transcription_options(options, language=settings.language)),
            **track,
        },
        "speakers": {
            "diarizer": _backend(DIARIZERS, effective.diarizer, effective),
            "speakers": asdict(speaker_count(options)),
            "align": options.align,
            **track,
        },
        "minutes": {"summarizer": _backend(SUMMARIZERS, effective.summarizer, effective)},
    }
    return {kind: {"code": _CODE[kind], **of_kind} for kind, of_kind in values.items()}


def _backend(registry: Registry, name: str, settings: Settings) -> dict[str, Any]:
    fields = [field for field in registry[name].settings if field not in _ONLY_SPEED]
    return {"name": name, **{field: str(getattr(settings, field)) for field in fields}}


def digest(texts: Iterable[str]) -> str:
    """Return 16 hexadecimal digits that identify a sequence of texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:_DIGITS]
