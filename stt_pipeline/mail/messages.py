"""Events as mails: the minutes of a recording, and the report of a batch. Text and layout are in ``templates/``."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from stt_pipeline.durations import clock
from stt_pipeline.mail.labels import error_texts, labels
from stt_pipeline.mail.mail import Mail, message_id
from stt_pipeline.notify.events import Attachment, BatchEnded, Event, MinutesReady

MAX_SUBJECT_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class _FailureGroup:
    """Failed files of one error class: their number, and the first few as (file name, message).

    Messages are English, so they are empty in a mail of another language; ``explanation`` says what they mean.
    """

    label: str
    explanation: str
    count: int
    examples: tuple[tuple[str, str], ...]


def rendered(event: Event, recipient: str) -> Mail:
    """Return ``event`` as the mail to ``recipient``, an email address.

    The message id depends on the event's id and the recipient only.

    Raises:
        InvalidRequestError: the recipient is not an email address.
    """
    if isinstance(event, MinutesReady):
        return _minutes_mail(event, recipient)
    return _batch_report_mail(event, recipient)


def _minutes_mail(event: MinutesReady, recipient: str) -> Mail:
    """Return the mail, with Korean labels where the recording is Korean. Only http and https addresses become links."""
    word = labels(event.language)
    return render_mail(
        "minutes",
        recipient,
        event.id,
        f"{word['minutes_subject']} {event.day} {event.minutes.title} - {event.name}",
        attachments=(event.attachment,) if event.attachment else (),
        word=word,
        language=event.language,
        name=event.name,
        facts_shown=event.facts,
        minutes=event.minutes,
        notes=(*event.notes, *((word["too_large"],) if event.is_too_large else ())),
        link=event.link,
    )


def _batch_report_mail(event: BatchEnded, recipient: str) -> Mail:
    word = labels(event.language)
    took = (event.completed_at - event.created_at).total_seconds() if event.completed_at else None
    status = word.get(f"status_{event.status}", event.status)
    files = word["some_failed" if event.failed else "all_files"].format(
        total=f"{event.total:,}", failed=f"{event.failed:,}"
    )
    facts = [
        *event.facts,
        (word["status"], f"{status}, {files}" if event.failed else status),
        (word["total"], f"{event.total:,}"),
        (word["completed"], f"{event.completed:,}"),
        (word["failed"], f"{event.failed:,}"),
        (word["audio"], clock(event.audio_hours * 3600)),
        (word["took"], "-" if took is None else clock(took)),
    ]
    if event.undelivered:
        facts.append((word["undelivered"], f"{event.undelivered:,}"))
    if event.without_speech:
        more = ", ..." if event.without_speech > len(event.names_without_speech) else ""
        facts.append(
            (
                word["without_speech"],
                f"{event.without_speech:,}: {', '.join(event.names_without_speech)}{more}",
            )
        )
    kind = word["minutes_subject" if event.digest else "batch_subject"]
    return render_mail(
        "batch_report",
        recipient,
        event.id,
        f"{kind} {event.day} {event.name}: {status}, {files}",
        word=word,
        language=event.language,
        name=event.name,
        facts_shown=facts,
        failures=_failure_groups(event),
        digest=event.digest,
        link=event.link,
    )


def _failure_groups(event: BatchEnded) -> list[_FailureGroup]:
    """Return the failures by error class, the most frequent first."""
    by_count = sorted(event.failures_by_class.items(), key=lambda group: (-group[1], group[0]))
    return [
        _FailureGroup(
            *error_texts(error_class, event.language),
            count,
            tuple(
                (file, "" if event.language == "ko" else message)
                for file, of_class, message in event.examples
                if of_class == error_class
            ),
        )
        for error_class, count in by_count
    ]


def render_mail(
    kind: str,
    recipient: str,
    identity: str,
    subject: str,
    *,
    attachments: tuple[Attachment, ...] = (),
    **page: Any,
) -> Mail:
    """Return the mail of the templates ``KIND.txt.j2`` and ``KIND.html.j2``.

    Args:
        identity: with ``kind`` and ``recipient`` it determines the message id.
        page: the variables of the templates.
    """
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
    """Return user text as a mail header: one line, printable, at most MAX_SUBJECT_CHARACTERS long."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    return line if len(line) <= MAX_SUBJECT_CHARACTERS else f"{line[: MAX_SUBJECT_CHARACTERS - 1]}…"
