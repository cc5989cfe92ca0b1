"""The end of a batch: its figures, one mail to each of its people, and the closing of its row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Literal

from stt_pipeline.audio.uris import display_name
from stt_pipeline.batches.batch_work import BatchWork
from stt_pipeline.batches.progress import Progress, progress
from stt_pipeline.batches.publishing import send_once
from stt_pipeline.errors import EmailError, SttError
from stt_pipeline.mail.mailer import Mailer
from stt_pipeline.mail.messages import batch_report_mail
from stt_pipeline.store import batches, files, shards
from stt_pipeline.store.batches import Batch
from stt_pipeline.store.database import Database

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Report:
    """What a batch came to. ``examples`` are (file name, error class, message) of the first failures.

    ``mail_errors`` are the addresses that could not be reached, with the reason: the batch is closed all the same.
    """

    progress: Progress
    examples: tuple[tuple[str, str, str], ...]
    mail_errors: dict[str, str]


def close_batch(work: BatchWork, mailer: Mailer, *, max_attempts: int) -> Report:
    """Tell the people of a batch of which every shard is done, once, close it, and return the report.

    A batch that still has shards to do is reported as it stands, and neither closed nor mailed. Mails go first: who sees
    a batch completed finds them sent.

    Raises:
        EmailError: a mail could not be handed over, and there are tries left. After the last one the batch is closed
            all the same, and the report says who was not reached.
    """
    database, batch = work.database, work.batch
    with database.begin() as connection:
        work.prove(connection)
        is_open = batch.stage == "intake" or shards.has_open(connection, batch.id)
        if is_open and batch.stage == "report":
            batches.set_stage(connection, batch.id, "shards")
        elif not is_open:
            shards.recount(connection, batch.id)
        examples = tuple(
            (display_name(file.uri), file.error_class or "", file.error or "")
            for file in files.failed(connection, batch.id, _EXAMPLES)
        )
    figures = progress(database, batch.id)
    if is_open or figures.total_files is None:
        return Report(figures, examples, {})
    status: Literal["completed", "failed"] = "completed" if figures.completed else "failed"
    figures = replace(figures, status=status, completed_at=figures.completed_at or datetime.now(timezone.utc))
    errors = _mail_report(database, batch, figures, examples, mailer)
    if errors and batch.tries < max_attempts:
        raise EmailError("; ".join(f"{recipient}: {error}" for recipient, error in errors.items()))
    with database.begin() as connection:
        work.prove(connection)
        batches.close(connection, batch.id, status)
    return Report(progress(database, batch.id), examples, errors)


def _mail_report(
    database: Database,
    batch: Batch,
    figures: Progress,
    examples: Sequence[tuple[str, str, str]],
    mailer: Mailer,
) -> dict[str, str]:
    """Send the report to who has not got it, and return the addresses that could not be reached, with the reason."""
    errors = {}
    for recipient in batch.notify_emails:
        try:
            mail = batch_report_mail(
                recipient,
                batch_id=f"{batch.id}.{batch.created_at.timestamp():.0f}",
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
            )
            send_once(database, mailer, mail, batch_id=batch.id, summary_id=None)
        except SttError as error:
            errors[recipient] = str(error)
    return errors
