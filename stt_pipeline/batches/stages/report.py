"""The end of a batch: its report, one mail to each of its ``notify_emails``, and its final status."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

from sqlalchemy import Connection

from stt_pipeline.audio.address import display_name
from stt_pipeline.batches.execution.batch_claim import BatchClaim
from stt_pipeline.batches.queries.progress import Progress, progress
from stt_pipeline.batches.queries.review import ToReview, review
from stt_pipeline.batches.requests.options import BatchOptions, document_options
from stt_pipeline.batches.stages.delivery import deliver_once, mail_of
from stt_pipeline.batches.stages.mail_content import NOTHING_ATTACHED, MailContent
from stt_pipeline.errors import ConfigurationError, EmailError, SttError
from stt_pipeline.minutes.meeting_facts import meeting_time, place_and_attendees
from stt_pipeline.minutes.missing import notes_of_figures
from stt_pipeline.minutes.notes import translated_note
from stt_pipeline.notify.events import BatchEnded, Digest, DigestEntry
from stt_pipeline.notify.notifier import NotifierFor
from stt_pipeline.notify.recipients import Recipient
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.queue import batch_stats, shards, transitions
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline.store.results import digests, emails
from stt_pipeline.store.results.digests import MinutesOfFile
from stt_pipeline.store.results.emails import Delivery

_EXAMPLES = 3  # of each error class
_TO_REVIEW = 10
DIGEST_ENTRIES: Final = 50  # some 100 kB of mail


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a batch.

    Attributes:
        examples: (file name, error class, message) of the first failures of each class.
        throughput: (minute, files ended, seconds of audio done), in order; minutes without any are omitted.
        to_review: the files with the lowest quality.
        emails_sent: number of mails with minutes or reports.
        mail_errors: addresses whose mail failed, with the reason; the batch is closed nevertheless.
    """

    progress: Progress
    examples: tuple[tuple[str, str, str], ...]
    throughput: tuple[tuple[datetime, int, float], ...]
    to_review: tuple[ToReview, ...]
    emails_sent: int
    mail_errors: dict[str, str]


def close_batch(
    claim: BatchClaim,
    notifier_for: NotifierFor,
    *,
    max_attempts: int,
    content: MailContent = NOTHING_ATTACHED,
) -> Report:
    """Mail the report of a batch whose shards are all done, once, close the batch, and return the report.

    In batches with a digest the report lists the minutes that the recipient has not got before.

    A batch with open shards is reported in its present state, and neither mailed nor closed. Mails are sent before the
    batch is closed, so that a completed batch has sent its mails.

    Raises:
        ConfigurationError: the settings of a notifier are wrong. The batch stays open until they are corrected.
        EmailError: the mail server did not accept a mail, and there are tries left. After the last one the batch is
            closed, and the report names the addresses.
    """
    database, batch = claim.database, claim.batch
    with database.begin() as connection:
        claim.verify(connection)
        waits = batch.open_until is not None and batch.open_until > datetime.now(UTC)
        is_open = waits or batch.stage == "scan" or shards.has_open(connection, batch.id)
        if is_open and batch.stage == "report":
            transitions.set_stage(connection, batch.id, "shards")
        examples = tuple(
            (display_name(file.uri), file.error_class or "", file.error or "")
            for error_class in batch_stats.sums(connection, batch.id).failures_by_class
            for file in files.failed(connection, batch.id, _EXAMPLES, error_class=error_class)
        )
    figures = progress(database, batch.id)
    if is_open or figures.total_files is None:
        return _report(database, figures, examples, {})
    status: Literal["completed", "failed"] = "completed" if figures.completed else "failed"
    figures = replace(figures, status=status, completed_at=figures.completed_at or datetime.now(UTC))
    errors = _deliver_report(database, batch, figures, examples, notifier_for, content)
    if errors and batch.tries < max_attempts:
        raise EmailError("; ".join(f"{recipient}: {error}" for recipient, error in errors.items()))
    with database.begin() as connection:
        claim.verify(connection)
        transitions.close(connection, batch.id, status)
    return _report(database, progress(database, batch.id), examples, errors)


def _report(
    database: Database, figures: Progress, examples: tuple[tuple[str, str, str], ...], errors: dict[str, str]
) -> Report:
    with database.begin() as connection:
        throughput = tuple(batch_stats.throughput_of(connection, figures.batch_id))
        sent = emails.sent_of_batch(connection, figures.batch_id)
    worst = tuple(review(database, figures.batch_id, _TO_REVIEW))
    return Report(figures, examples, throughput, worst, sent, errors)


def _deliver_report(
    database: Database,
    batch: Batch,
    figures: Progress,
    examples: tuple[tuple[str, str, str], ...],
    notifier_for: NotifierFor,
    content: MailContent,
) -> dict[str, str]:
    """Send the report to the recipients that have not received it; return the addresses that failed, with the reason."""
    if not batch.notify_emails:
        return {}
    options = BatchOptions.model_construct(
        **batch.options
    )  # the limits may have been others when they were written
    is_digest = mail_of(options, figures.total_files) == "digest"
    event = _event(database, batch, options, figures, examples, content)
    errors = {}
    for text in batch.notify_emails:

        def read(connection: Connection, recipient: str = text) -> Digest | None:
            return _digest(connection, event, batch.id, recipient, options, content) if is_digest else None

        try:
            deliver_once(
                database,
                notifier_for,
                Recipient.parse(text),
                Delivery(batch.id, text, "digest" if is_digest else "report"),
                read=read,
                event_of=lambda digest: replace(event, digest=digest),
            )
        except ConfigurationError:  # it is about all recipients
            raise
        except SttError as error:
            errors[text] = str(error)
    return errors


def _event(
    database: Database,
    batch: Batch,
    options: BatchOptions,
    figures: Progress,
    examples: tuple[tuple[str, str, str], ...],
    content: MailContent,
) -> BatchEnded:
    with database.begin() as connection:
        silent = digests.without_speech(connection, batch.id, _EXAMPLES)
        language = (
            options.output_language or options.language or digests.main_language(connection, batch.id) or "ko"
        )
    return BatchEnded(
        id=f"{batch.id}.{batch.created_at.timestamp():.0f}",
        name=batch.name,
        status=figures.status,
        total=figures.total_files or 0,
        completed=figures.completed,
        failed=figures.failed,
        audio_hours=figures.audio_hours_done,
        failures_by_class=figures.failures_by_class,
        examples=examples,
        created_at=figures.created_at,
        completed_at=figures.completed_at,
        day=content.day(figures.completed_at or datetime.now(UTC)),
        language=language,
        undelivered=figures.undelivered,
        without_speech=silent.count,
        names_without_speech=tuple(map(display_name, silent.uris)),
        link=content.link_to_batch(batch.id) if figures.completed else "",
        facts=tuple(place_and_attendees(document_options(options), language)),
    )


def _digest(
    connection: Connection,
    event: BatchEnded,
    batch_id: int,
    recipient: str,
    options: BatchOptions,
    content: MailContent,
) -> Digest:
    found = digests.minutes_of_batch(connection, batch_id, recipient, again=options.mail_again)
    new = [one for one in found if one.has_text and not one.is_received]
    notes = [_notes(one, event.language) for one in new[:DIGEST_ENTRIES]]
    # of one recording, notes stay with it
    common = (
        tuple(note for note in notes[0] if all(note in of_one for of_one in notes)) if len(notes) > 1 else ()
    )
    entries = tuple(
        DigestEntry(
            name := display_name(one.uri),
            one.title,
            one.summary,
            content.link_to_transcription(one.transcription_id),
            meeting_time(name, event.language),
            tuple(note for note in of_one if note not in common),
        )
        for one, of_one in zip(new, notes, strict=False)
    )
    repeated = sum(one.has_text and one.is_received for one in found)
    silent = sum(not one.has_text for one in found)
    others = event.completed - len(entries) - repeated - silent
    return Digest(entries, others, repeated, common)


def _notes(found: MinutesOfFile, language: str) -> list[str]:
    """Return what a reader must know about a transcript, without places: a digest does not read the text."""
    return [
        *(translated_note(note, language) for note in found.notes),
        *notes_of_figures(found.figures, language),
    ]
