"""The events that notifiers deliver. Each holds the values that a message shows, and no more."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from stt_pipeline.minutes.model import Minutes


@dataclass(frozen=True, slots=True)
class MinutesReady:
    """The minutes of one recording are written.

    Attributes:
        id: unique over installations and restored databases; equal when the same minutes are delivered again.
        name: file name of the recording.
        language: ISO 639-1 code of the transcript.
        duration: length of the recording, in seconds.
        speakers: labels of the speakers.
        notes: notes about the transcript that a reader must see.
        minutes: the minutes.
        links: label to address or path of further results.
    """

    id: str
    name: str
    language: str
    duration: float
    speakers: tuple[str, ...]
    notes: tuple[str, ...]
    minutes: Minutes
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BatchEnded:
    """A batch is completed, failed or cancelled.

    Attributes:
        id: as :attr:`MinutesReady.id`.
        name: name of the batch.
        status: ``completed``, ``failed`` or ``cancelled``.
        total: number of audio files.
        completed: files that succeeded.
        failed: files that failed.
        audio_hours: length of the processed audio, in hours.
        failures_by_class: number of failed files for each error class.
        examples: the first failures as (file name, error class, message).
        created_at: when the batch was requested.
        completed_at: when it ended; None while it is open.
        language: of the message: "ko" for Korean, any other code for English.
    """

    id: str
    name: str
    status: str
    total: int
    completed: int
    failed: int
    audio_hours: float
    failures_by_class: Mapping[str, int]
    examples: tuple[tuple[str, str, str], ...]
    created_at: datetime
    completed_at: datetime | None
    language: str = "ko"


Event: TypeAlias = MinutesReady | BatchEnded
