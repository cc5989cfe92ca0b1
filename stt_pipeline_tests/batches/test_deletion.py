"""Deleting a batch: nothing of it is left, nothing of another one is touched, and it goes on where it died."""

import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select, text, true
from upath import UPath

from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.maintenance.deletion import delete_batch
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.parquet.datasets import shard_path
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline_tests.rows import Rows

FILES_PER_SHARD = 100
TABLES = (
    "stt_batches",
    "stt_shards",
    "stt_audio_files",
    "stt_transcriptions",
    "stt_summaries",
    "stt_email_logs",
    "stt_throughput",
)
FILE = {"size": 1000, "etag": "x", "status": "success", "duration": 60.0}
TRANSCRIPT = {
    "transcription_text": "text",
    "segments": [],
    "status": "completed",
    "language": "ko",
    "language_probability": 1.0,
    "duration": 60.0,
    "model": "none",
}
MINUTES = {
    "title": "title",
    "summary_text": "text",
    "topics": [],
    "decisions": [],
    "keywords": [],
    "action_items": [],
    "llm_model": "none",
}
MAIL = {"recipient_email": "kim@example.com", "status": "sent"}


def _batch(database: Database, root: Path, shards: int) -> int:
    """Write a completed batch with every kind of row and a Parquet file for each shard, and return its id."""
    rows = Rows(database)
    batch_id = rows.batch(
        status="completed",
        stage="done",
        total_files=shards * FILES_PER_SHARD,
        files_per_shard=FILES_PER_SHARD,
        completed_at=datetime.now(UTC),
    )
    counts = {"total": FILES_PER_SHARD, "completed": FILES_PER_SHARD}
    for number in range(shards):
        rows.shard(batch_id, number=number, stage="done", **counts)
    _insert_results(rows, batch_id)
    with database.begin() as connection:
        keys = connection.scalars(
            select(tables.shards.c.key).where(tables.shards.c.batch_id == batch_id)
        ).all()
    for key in keys:
        for dataset in ("transcripts", "minutes"):
            path = shard_path(UPath(root), dataset, f"{batch_id:06d}", key)  # type: ignore[arg-type]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return batch_id


def _insert_results(rows: Rows, batch_id: int) -> None:
    """Insert the files of a batch's shards, a transcript, minutes and a mail of each, a report and throughput."""
    shards, audio_files, transcriptions = tables.shards, tables.audio_files, tables.transcriptions
    numbers = func.generate_series(1, FILES_PER_SHARD).table_valued("number").render_derived()
    rows.insert_each(
        audio_files,
        select(
            shards.c.batch_id,
            shards.c.id.label("shard_id"),
            func.format("file:///made/%s-%s.wav", shards.c.number, numbers.c.number).label("uri"),
        )
        .join_from(shards, numbers, true())
        .where(shards.c.batch_id == batch_id),
        **FILE,
    )
    rows.insert_each(
        transcriptions,
        select(
            audio_files.c.batch_id,
            audio_files.c.id.label("audio_file_id"),
            audio_files.c.uri.label("audio_file_path"),
            audio_files.c.created_at,
        ).where(audio_files.c.batch_id == batch_id),
        **TRANSCRIPT,
    )
    rows.insert_each(
        tables.summaries,
        select(
            transcriptions.c.id.label("transcription_id"),
            transcriptions.c.created_at.label("transcription_created_at"),
        ).where(transcriptions.c.batch_id == batch_id),
        **MINUTES,
    )
    rows.insert_each(
        tables.email_logs,
        select(transcriptions.c.batch_id, tables.summaries.c.id.label("summary_id"))
        .join(tables.summaries, tables.summaries.c.transcription_id == transcriptions.c.id)
        .where(transcriptions.c.batch_id == batch_id),
        kind="minutes",
        **MAIL,
    )
    its_id = select(tables.batches.c.id.label("batch_id")).where(tables.batches.c.id == batch_id)
    rows.insert_each(tables.email_logs, its_id, kind="report", **MAIL)
    rows.insert_each(tables.throughput, its_id, minute=datetime.now(UTC), files=1)


def _left(database: Database, root: Path) -> dict[str, int]:
    with database.begin() as connection:
        rows = {table: connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0 for table in TABLES}
    return {**rows, "parquet": len(list(root.glob("*/*/*.parquet")))}


def _delete(database: Database, batch_id: int, root: Path, *, forgotten: list[int], can: bool = True) -> int:
    """Delete a batch in a run of its own."""

    def forget(batch_id: int) -> bool:
        forgotten.append(batch_id)
        return can

    with claimed_batch(
        database, batch_id, run_id=str(uuid.uuid4()), token=None, lease_seconds=60, to_delete=True
    ) as work:
        return delete_batch(work, delete_records=forget, data_root=UPath(root))


@pytest.mark.slow
def test_a_batch_is_deleted_and_another_one_is_not_touched(database: Database, tmp_path: Path) -> None:
    other = _batch(database, tmp_path, shards=2)
    before = _left(database, tmp_path)
    batch_id = _batch(database, tmp_path, shards=60)  # more than one transaction takes
    lifecycle.delete(database, batch_id)
    forgotten: list[int] = []
    assert _delete(database, batch_id, tmp_path, forgotten=forgotten) == 60 * FILES_PER_SHARD
    assert _left(database, tmp_path) == before
    assert forgotten == [batch_id]
    assert progress(database, other).completed == 2 * FILES_PER_SHARD
    assert sorted(folder.name for folder in tmp_path.glob("*/*")) == [f"batch={other:06d}"] * 2


def _end_waiting(database: Database) -> int:
    """Break the connections that wait for a lock, and return how many."""
    with database.begin() as connection:
        return (
            connection.scalar(
                text(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
            )
            or 0
        )


@pytest.mark.slow
def test_a_deletion_that_dies_in_the_middle_goes_on(database: Database, tmp_path: Path) -> None:
    batch_id = _batch(database, tmp_path, shards=120)
    lifecycle.delete(database, batch_id)
    died: list[BaseException] = []

    def delete() -> None:
        try:
            _delete(database, batch_id, tmp_path, forgotten=[])
        except Exception as error:
            died.append(error)

    # a lock stops it after the first transaction, and there its connection to the database breaks
    with database.begin() as lock:
        lock.execute(
            text("SELECT id FROM stt_shards WHERE batch_id = :id AND number = 99 FOR UPDATE"),
            {"id": batch_id},
        )
        deletion = threading.Thread(target=delete)
        deletion.start()
        # each time in a transaction of its own: within one, pg_stat_activity stays as it was first read
        while not _end_waiting(database):
            time.sleep(0.05)
        deletion.join()
    assert died
    left = _left(database, tmp_path)
    assert 0 < left["stt_audio_files"] < 120 * FILES_PER_SHARD
    assert left["stt_audio_files"] == left["stt_transcriptions"] == left["stt_summaries"]
    assert left["parquet"] == 240
    assert progress(database, batch_id).error

    assert _delete(database, batch_id, tmp_path, forgotten=[]) == left["stt_audio_files"]
    assert not any(_left(database, tmp_path).values())


def test_a_batch_whose_runs_do_not_end_stays_whole(database: Database, tmp_path: Path) -> None:
    batch_id = _batch(database, tmp_path, shards=1)
    lifecycle.delete(database, batch_id)
    before = _left(database, tmp_path)
    with pytest.raises(InvalidRequestError, match="has runs that do not end"):
        _delete(database, batch_id, tmp_path, forgotten=[], can=False)
    assert _left(database, tmp_path) == before
    assert "has runs that do not end" in (progress(database, batch_id).error or "")


def test_only_what_was_given_to_deletion_is_deleted(database: Database, tmp_path: Path) -> None:
    batch_id = _batch(database, tmp_path, shards=1)
    with pytest.raises(InvalidRequestError, match=f"Batch {batch_id} is completed"):
        _delete(database, batch_id, tmp_path, forgotten=[])
    lifecycle.delete(database, batch_id)
    with pytest.raises(InvalidRequestError, match="is being deleted"):
        lifecycle.delete(database, batch_id)
