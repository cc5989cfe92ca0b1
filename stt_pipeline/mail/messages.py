"""The mails that the product writes: minutes of one recording, report on a batch. Wording and looks are in templates/."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from stt_pipeline.durations import clock
from stt_pipeline.mail.labels import labels
from stt_pipeline.mail.mail import Attachment, Mail, message_id
from stt_pipeline.minutes.model import Minutes
from stt_pipeline.speech.transcript import Transcript, TranscriptHeader

MAX_SUBJECT_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class _FailureGroup:
    """Failed files of one error class: how many, and the first few as (file, message)."""

    error_class: str
    count: int
    examples: tuple[tuple[str, str], ...]


def minutes_mail(
    recipient: str,
    *,
    summary_id: int | str,
    name: str,
    transcript: Transcript | TranscriptHeader,
    minutes: Minutes,
    links: Mapping[str, str] | None = None,
    attachments: Sequence[Attachment] = (),
) -> Mail:
    """Return the mail with the minutes of one recording, in Korean when that is its language.

    Args:
        recipient: an email address.
        summary_id: makes it the same mail when it is made again; see :func:`~stt_pipeline.mail.mail.message_id`.
        name: the recording's name.
        transcript: for its language, length, speakers, and the notes that a reader must see.
        minutes: what to show.
        links: label to address or path of further results; only http and https become links.
        attachments: files to send along.

    Raises:
        InvalidRequestError: the recipient is no address.
    """
    word = labels(transcript.language)
    return _mail(
        "minutes",
        recipient,
        summary_id,
        f"{word['minutes_subject']} {minutes.title} - {name}",
        tuple(attachments),
        word=word,
        language=transcript.language,
        name=name,
        length=clock(transcript.duration),
        speakers=transcript.speakers,
        minutes=minutes,
        notes=transcript.notes,
        links=links or {},
    )


def batch_report_mail(
    recipient: str,
    *,
    batch_id: int | str,
    name: str,
    status: str,
    total: int,
    completed: int,
    failed: int,
    audio_hours: float,
    failures_by_class: Mapping[str, int],
    examples: Sequence[tuple[str, str, str]],
    created_at: datetime,
    completed_at: datetime | None,
    language: str = "ko",
) -> Mail:
    """Return the mail that says how a batch ended.

    Args:
        recipient: an email address.
        batch_id: makes it the same mail when it is made again; see :func:`~stt_pipeline.mail.mail.message_id`.
        name: the batch's name.
        status: how it ended, as stored.
        total: number of its audio files; ``completed`` and ``failed`` are parts of it.
        completed: files that succeeded.
        failed: files that did not.
        audio_hours: length of the audio done, in hours.
        failures_by_class: number of failed files for each error class.
        examples: the first failures as (file, error class, message).
        created_at: when the batch was asked for.
        completed_at: when it ended; None while it has not.
        language: "ko" for Korean labels, any other code for English ones.

    Raises:
        InvalidRequestError: the recipient is no address.
    """
    word = labels(language)
    failures = [
        _FailureGroup(kind, count, tuple((file, text) for file, shown, text in examples if shown == kind))
        for kind, count in sorted(failures_by_class.items(), key=lambda group: (-group[1], group[0]))
    ]
    facts = [
        (word["status"], word.get(f"status_{status}", status)),
        (word["total"], f"{total:,}"),
        (word["completed"], f"{completed:,}"),
        (word["failed"], f"{failed:,}"),
        (word["audio"], clock(audio_hours * 3600)),
        (word["took"], clock((completed_at - created_at).total_seconds()) if completed_at else "-"),
    ]
    return _mail(
        "batch_report",
        recipient,
        batch_id,
        f"{word['batch_subject']} {name}: {word['completed']} {completed:,}/{total:,}",
        word=word,
        language=language,
        name=name,
        facts_shown=facts,
        failures=failures,
    )


def _mail(
    kind: str,
    recipient: str,
    identity: str | int,
    subject: str,
    attachments: tuple[Attachment, ...] = (),
    **page: Any,
) -> Mail:
    return Mail(
        recipient=recipient,
        subject=_one_line(subject),
        text=_templates().get_template(f"{kind}.txt.j2").render(page),
        html=_templates().get_template(f"{kind}.html.j2").render(page),
        message_id=message_id(kind, identity, recipient),
        attachments=attachments,
    )


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("stt_pipeline.mail"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _one_line(text: str) -> str:
    """Make a header of text that people wrote: no line break, no control character, not too long."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    return line if len(line) <= MAX_SUBJECT_CHARACTERS else f"{line[: MAX_SUBJECT_CHARACTERS - 1]}…"
