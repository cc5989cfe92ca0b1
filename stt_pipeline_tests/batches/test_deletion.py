"""Deleting a batch: nothing of it is left, nothing of another one is touched, and it goes on where it died."""

import threading
import time
import uuid
from pathlib import Path

import pytest
from sqlalchemy import text
from upath import UPath

from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.maintenance.deletion import delete_batch
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.parquet.datasets import shard_path
from stt_pipeline.store.database import Database

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


def _batch(database: Database, root: Path, shards: int) -> int:
    """Write a completed batch with every kind of row and a Parquet file for each shard, and return its id."""
    with database.begin() as connection:
        batch_id = connection.scalar(
            text("""
                INSERT INTO stt_batches (name, source_path, status, stage, total_files, files_per_shard, completed_at)
                VALUES ('made', 'file:///made/', 'completed', 'done', :shards * :size, :size, now()) RETURNING id
            """),
            {"shards": shards, "size": FILES_PER_SHARD},
        )
        for statement in (
            """
            INSERT INTO stt_shards (batch_id, number, key, registered, total, completed, stage)
            SELECT :batch, n, CAST(:key AS text) || to_char(n, '-fm000000'), true, :size, :size, 'done'
            FROM generate_series(0, :shards - 1) n
            """,
            """
            INSERT INTO stt_audio_files (batch_id, shard_id, uri, size, etag, status, duration)
            SELECT :batch, s.id, format('file:///made/%s-%s.wav', s.number, n), 1000, 'x', 'success', 60
            FROM stt_shards s, generate_series(1, :size) n WHERE s.batch_id = :batch
            """,
            """
            INSERT INTO stt_transcriptions (batch_id, audio_file_id, audio_file_path, transcription_text, segments, status,
                                            language, language_probability, duration, model, created_at)
            SELECT batch_id, id, uri, 'text', '[]', 'completed', 'ko', 1, 60, 'm', created_at
            FROM stt_audio_files WHERE batch_id = :batch
            """,
            """
            INSERT INTO stt_summaries (transcription_id, transcription_created_at, title, summary_text, topics, decisions,
                                       keywords, action_items, llm_model)
            SELECT id, created_at, 't', 's', '{}', '{}', '{}', '[]', 'm'
            FROM stt_transcriptions WHERE batch_id = :batch
            """,
            """
            INSERT INTO stt_email_logs (batch_id, summary_id, recipient_email, status)
            SELECT :batch, s.id, 'kim@example.com', 'sent'
            FROM stt_summaries s JOIN stt_transcriptions t ON t.id = s.transcription_id WHERE t.batch_id = :batch
            UNION ALL SELECT :batch, NULL, 'kim@example.com', 'sent'
            """,
            "INSERT INTO stt_throughput (batch_id, minute, files) SELECT :batch, now(), 1",
        ):
            values = {"batch": batch_id, "key": f"{batch_id:06d}", "shards": shards, "size": FILES_PER_SHARD}
            connection.execute(text(statement), values)
        keys = connection.scalars(
            text("SELECT key FROM stt_shards WHERE batch_id = :batch"), {"batch": batch_id}
        )
    for key in keys:
        for dataset in ("transcripts", "minutes"):
            path = shard_path(UPath(root), dataset, f"{batch_id:06d}", key)  # type: ignore[arg-type]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return int(batch_id)


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
