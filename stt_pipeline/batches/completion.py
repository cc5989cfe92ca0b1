"""The end of a batch: its figures, one mail to each of its people, and the closing of its row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Literal

from stt_pipeline.audio.uris import display_name
from stt_pipeline.batches.progress import Progress, progress
from stt_pipeline.batches.publishing import send_once
from stt_pipeline.errors import EmailError
from stt_pipeline.mail.mailer import Mailer
from stt_pipeline.mail.messages import batch_report_mail
from stt_pipeline.store import batches, files
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


def close_batch(database: Database, batch: Batch, mailer: Mailer) -> Report:
    """Tell the people of a batch of which every file has ended, once, close it, and return the report.

    A batch that still has files to do is reported as it stands, and neither closed nor mailed. Mails go first: who sees
    a batch completed finds them sent.
    """
    figures = progress(database, batch.id)
    with database.begin() as connection:
        examples = tuple(
            (display_name(file.uri), file.error_class or "", file.error or "")
            for file in files.failed(connection, batch.id, _EXAMPLES)
        )
    if figures.pending or figures.total_files is None:
        if batch.stage == "report":
            with database.begin() as connection:
                batches.set_stage(connection, batch.id, "shards")
        return Report(figures, examples, {})
    status: Literal["completed", "failed"] = "completed" if figures.completed else "failed"
    figures = replace(figures, status=status, completed_at=figures.completed_at or datetime.now(timezone.utc))
    errors = _mail_report(database, batch, figures, examples, mailer)
    with database.begin() as connection:
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
        mail = batch_report_mail(
            recipient,
            batch_id=f"{batch.id}.{batch.created_at:%Y%m%d%H%M%S}",
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
        try:
            send_once(database, mailer, mail, batch_id=batch.id, summary_id=None)
        except EmailError as error:
            errors[recipient] = str(error)
    return errors
