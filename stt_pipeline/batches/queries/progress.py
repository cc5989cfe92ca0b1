"""The progress of a batch, from sums over its shards, as the CLI, the API and the report show it."""

import math
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from stt_pipeline.batches.execution.dispatch import HEARTBEAT
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batch_stats, batches, heartbeats
from stt_pipeline.store.queue.batch_stats import FileCounts, Rates, ShardSums
from stt_pipeline.store.queue.batches import ANY, Batch, Filter


@dataclass(frozen=True, slots=True)
class Progress:
    """The figures of a batch at one moment. After the scan, ``completed + failed + pending = total_files`` always holds.

    Attributes:
        total_files: None before the source is scanned.
        transcribed: files that have a transcript, with the completed ones and without the failed ones.
        avg_processing_time: mean seconds of work for a file, in the shards that have ended; None before the first.
        estimated_completion: end of the batch at the rate of the last minutes, from its first transcript on; None if
            there is no new one.
        transcribed_per_minute: files that were transcribed a minute in the last minutes; None if there are none.
        files_per_minute: files that completed or failed a minute in the last minutes; None if there are none.
        real_time_factor: seconds of work for a second of audio, in the shards that have ended; None before the first.
        error: the reason why the batch waits, or why it failed.
        dispatcher_last_tick: None if no dispatcher has run.
        open_until: the time until which a watch adds files to the batch; it does not end before. None without a watch.
        status_text: see :func:`status_text`.
        undelivered: completed files whose minutes some recipient did not get; a retry delivers them.
    """

    batch_id: int
    name: str
    status: str
    total_files: int | None
    transcribed: int
    completed: int
    failed: int
    pending: int
    progress_percentage: float
    avg_processing_time: float | None
    estimated_completion: datetime | None
    audio_hours_done: float
    transcribed_per_minute: float | None
    files_per_minute: float | None
    real_time_factor: float | None
    failures_by_class: dict[str, int]
    error: str | None
    created_at: datetime
    completed_at: datetime | None
    dispatcher_last_tick: datetime | None
    open_until: datetime | None = None
    status_text: str = ""
    undelivered: int = 0

    @property
    def is_over(self) -> bool:
        """Whether the batch has ended; only a retry or a change continues it."""
        return self.status in ("completed", "failed", "cancelled")

    @property
    def waits_for_more(self) -> bool:
        """Whether all files have ended, and the batch stays open for new files of its watch."""
        return (
            self.open_until is not None
            and not self.is_over
            and self.total_files is not None
            and not self.pending
        )


@dataclass(frozen=True, slots=True)
class Overview(Batch):
    """A batch in a list: its row, with its counts as in :class:`Progress`."""

    completed: int = 0
    failed: int = 0
    pending: int = 0
    progress_percentage: float = 0.0
    status_text: str = ""

    @classmethod
    def of(cls, batch: Batch, **counts: Any) -> "Overview":
        """Return the overview of a row; without ``counts``, of a batch whose source is not scanned yet."""
        row = {field.name: getattr(batch, field.name) for field in fields(batch)}
        text = status_text(batch.status, counts.get("failed", 0), counts.get("total_files") or 0)
        return cls(**{**row, "status_text": text, **counts})


def status_text(status: str, failed: int, total: int) -> str:
    """Return a status for people: a batch is ``completed`` as soon as one file succeeded, so failed files are added."""
    if status == "completed" and failed:
        return f"completed, {failed:,} of {total:,} {'file' if total == 1 else 'files'} failed"
    return status


def overviews(
    database: Database, limit: int, *, before: int | None = None, filters: Filter = ANY
) -> list[Overview]:
    """Return the newest batches with their counts, as ``batches.latest`` returns them."""
    with database.snapshot() as connection:
        found = batches.latest(connection, limit, before=before, filters=filters)
        counts = batch_stats.file_counts(connection, [batch.id for batch in found])
        return [_overview(batch, counts.get(batch.id, FileCounts())) for batch in found]


def overview(database: Database, batch_id: int) -> Overview:
    """Return one batch with its counts.

    Raises:
        NotFoundError: there is no such batch.
    """
    with database.snapshot() as connection:
        batch = batches.get(connection, batch_id)
        counts = batch_stats.file_counts(connection, [batch_id])
        return _overview(batch, counts.get(batch_id, FileCounts()))


def overview_of(database: Database, batch: Batch) -> Overview:
    """Return a batch that was just read or changed, with its counts. It may be deleted meanwhile."""
    with database.begin() as connection:
        counts = batch_stats.file_counts(connection, [batch.id])
    return _overview(batch, counts.get(batch.id, FileCounts()))


def progress(database: Database, batch_id: int) -> Progress:
    """Return the progress of one batch.

    Raises:
        NotFoundError: there is no such batch.
    """
    with database.snapshot() as connection:
        batch = batches.get(connection, batch_id)
        sums = batch_stats.sums(connection, batch_id)
        so_far = _overview(batch, sums)
        rates = batch_stats.rates(connection, batch_id)
        transcribed = sums.transcribed if batch.total_files is not None else 0
        return Progress(
            batch_id=batch.id,
            name=batch.name,
            status=batch.status,
            total_files=so_far.total_files,
            transcribed=transcribed,
            completed=so_far.completed,
            failed=so_far.failed,
            pending=so_far.pending,
            progress_percentage=so_far.progress_percentage,
            avg_processing_time=sums.done_busy_seconds / sums.done_files if sums.done_files else None,
            estimated_completion=_estimate(
                batch,
                to_transcribe=so_far.pending + so_far.completed - transcribed,
                pending=so_far.pending,
                rates=rates,
            ),
            audio_hours_done=sums.audio_seconds / 3600,
            transcribed_per_minute=rates.transcribed,
            files_per_minute=rates.ended,
            real_time_factor=sums.done_busy_seconds / sums.done_audio_seconds
            if sums.done_audio_seconds
            else None,
            failures_by_class=sums.failures_by_class if so_far.failed else {},
            error=batch.error,
            created_at=batch.created_at,
            completed_at=batch.completed_at,
            dispatcher_last_tick=heartbeats.last_beat(connection, HEARTBEAT),
            open_until=batch.open_until,
            status_text=so_far.status_text,
            undelivered=sums.undelivered,
        )


def _overview(batch: Batch, sums: FileCounts | ShardSums) -> Overview:
    if batch.total_files is None:
        # counts of a first scan are not shown: it may die and begin again
        return Overview.of(batch)
    # during a second scan, shards may be there before the batch's total is
    total = max(batch.total_files, sums.total)
    ended = sums.completed + sums.failed
    return Overview.of(
        batch,
        total_files=total,
        completed=sums.completed,
        failed=sums.failed,
        pending=total - ended,
        # rounded down: a batch of millions is not at 100 % before its last file
        progress_percentage=math.floor(10_000 * ended / total) / 100 if total else 100.0,
    )


def _estimate(batch: Batch, *, to_transcribe: int, pending: int, rates: Rates) -> datetime | None:
    """Return the end of the batch, or None if there is no rate yet.

    While recordings wait for their transcripts, transcription decides: minutes and mails are made beside it.
    """
    if batch.status != "processing" or not pending:
        return None
    if to_transcribe and rates.transcribed:
        minutes = to_transcribe / rates.transcribed
    elif rate := rates.ended or rates.transcribed:
        minutes = pending / rate
    else:
        return None
    return datetime.now(UTC) + timedelta(minutes=minutes)
