"""The events that notifiers deliver. Each holds the values that a message shows, and no more.

Speakers have names for readers (화자 1, Speaker 1), and facts and notes are in the language of the message.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeAlias

from stt_pipeline.minutes.model import Minutes


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file with a message; ``media_type`` such as ``text/vtt``."""

    filename: str
    content: bytes
    media_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class MinutesReady:
    """The minutes of one recording are written.

    Attributes:
        id: unique over installations and restored databases; equal when the same minutes are delivered again.
        name: file name of the recording.
        language: of the message: "ko" for Korean, any other code for English.
        facts: (label, value) of the head: when, where, who, which recording; only what is known.
        notes: notes about the transcript that a reader must see.
        minutes: the minutes.
        day: in the file's name; without one there, when the recording was added to its batch.
        link: address of the minutes and the transcript; empty if the installation has no public address.
        attachment: the minutes as a file; None if they are not attached.
        is_too_large: the minutes are not attached because the file would be too large for a mail.
    """

    id: str
    name: str
    language: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    minutes: Minutes
    day: date
    link: str = ""
    attachment: Attachment | None = None
    is_too_large: bool = False


@dataclass(frozen=True, slots=True)
class DigestEntry:
    """A recording in a digest.

    Attributes:
        name: file name of the recording.
        title: of the minutes.
        summary: of the minutes.
        link: to the minutes and the transcript, or empty.
        when: date of the meeting, with the time if that is known, as text; empty if the file's name has none.
        notes: notes about its transcript that a reader must see, and what is missing or doubtful in it.
    """

    name: str
    title: str
    summary: str
    link: str = ""
    when: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Digest:
    """The minutes of a batch for one recipient.

    Attributes:
        entries: the first recordings that the recipient has not got before.
        others: further recordings, which are only counted.
        repeated: recordings whose minutes the recipient got before; they are not in ``entries``.
        notes: notes that all entries have in common; the entries do not repeat them.
    """

    entries: tuple[DigestEntry, ...]
    others: int = 0
    repeated: int = 0
    notes: tuple[str, ...] = ()


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
        undelivered: completed files whose minutes some recipient did not get.
        without_speech: number of recordings without speech, of which no minutes are sent.
        names_without_speech: the file names of the first of them.
        created_at: when the batch was requested.
        completed_at: when it ended; None while it is open.
        day: when it ended, in the installation's time zone.
        language: of the message: "ko" for Korean, any other code for English.
        link: address of all minutes and transcripts of the batch; empty as :attr:`MinutesReady.link`.
        facts: (label, value) of what is known of its meetings: place, attendees.
        digest: the minutes, where the batch sends them together; else None.
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
    day: date
    language: str = "ko"
    undelivered: int = 0
    without_speech: int = 0
    names_without_speech: tuple[str, ...] = ()
    link: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    digest: Digest | None = None


Event: TypeAlias = MinutesReady | BatchEnded
