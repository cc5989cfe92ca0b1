"""How far a batch is, from sums over its shards; what the CLI, the API and the report show."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from stt_pipeline.batches.dispatch import HEARTBEAT
from stt_pipeline.store import batches, counters
from stt_pipeline.store.batches import Batch
from stt_pipeline.store.database import Database


@dataclass(frozen=True, slots=True)
class Progress:
    """A batch's figures at one moment: ``completed + failed + pending = total_files``, always, once it was scanned.

    Attributes:
        total_files: None until the source was scanned.
        avg_processing_time: seconds of work a finished file, None before the first.
        estimated_completion: when the batch will be over if files go on ending as in the last minutes; None where
            nothing moves.
        files_per_minute: files that ended lately, with success or without; None if none did.
        real_time_factor: seconds of work a second of audio, None before the first.
        error: why the batch does not move, or why it failed.
        dispatcher_last_tick: None if no dispatcher ever ran.
    """

    batch_id: int
    name: str
    status: str
    total_files: int | None
    completed: int
    failed: int
    pending: int
    progress_percentage: float
    avg_processing_time: float | None
    estimated_completion: datetime | None
    audio_hours_done: float
    files_per_minute: float | None
    real_time_factor: float | None
    failures_by_class: dict[str, int]
    error: str | None
    created_at: datetime
    completed_at: datetime | None
    dispatcher_last_tick: datetime | None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.status in ("completed", "failed", "cancelled")


def progress(database: Database, batch_id: int) -> Progress:
    """Return the progress of one batch.

    Raises:
        InvalidRequestError: there is no such batch.
    """
    with database.snapshot() as connection:
        batch = batches.get(connection, batch_id)
        # what a first scan has found so far is not shown: it may die and begin again
        sums = counters.sums(connection, batch_id) if batch.total_files is not None else counters.NOTHING
        finished = sums.completed + sums.failed
        # during a second scan, shards may be there before the batch's total is
        total = None if batch.total_files is None else max(batch.total_files, sums.total)
        pending = 0 if total is None else total - finished
        files_per_minute = counters.rate(connection, batch_id)
        return Progress(
            batch_id=batch.id,
            name=batch.name,
            status=batch.status,
            total_files=total,
            completed=sums.completed,
            failed=sums.failed,
            pending=pending,
            progress_percentage=round(100 * finished / total, 2) if total else _percentage_of_empty(batch),
            avg_processing_time=sums.busy_seconds / finished if finished else None,
            estimated_completion=_estimate(batch, pending, files_per_minute),
            audio_hours_done=sums.audio_seconds / 3600,
            files_per_minute=files_per_minute,
            real_time_factor=sums.busy_seconds / sums.audio_seconds if sums.audio_seconds else None,
            failures_by_class=counters.failures_by_class(connection, batch_id) if sums.failed else {},
            error=batch.error,
            created_at=batch.created_at,
            completed_at=batch.completed_at,
            dispatcher_last_tick=counters.last_beat(connection, HEARTBEAT),
        )


def _estimate(batch: Batch, pending: int, files_per_minute: float | None) -> datetime | None:
    if batch.status != "processing" or not pending or not files_per_minute:
        return None
    return datetime.now(timezone.utc) + timedelta(minutes=pending / files_per_minute)


def _percentage_of_empty(batch: Batch) -> float:
    return 100.0 if batch.status in ("completed", "failed") else 0.0
