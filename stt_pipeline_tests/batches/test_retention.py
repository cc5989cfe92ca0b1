"""What Dagster keeps of ended batches goes after a while, once, and not from under anybody's work."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stt_pipeline.batches.maintenance.retention import retire_batches, unknown_batches, unknown_shards
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches, transitions
from stt_pipeline_tests.rows import Rows


def _ended(database: Database, folder: Path, days: int) -> int:
    batch = create_batch(database, BatchRequest(source_path=str(folder)))
    lifecycle.cancel(database, batch.id)
    with database.begin() as connection:
        transitions.finish_cancel(connection, batch.id)
    ended = datetime.now(UTC) - timedelta(days=days)
    Rows(database).change(tables.batches, tables.batches.c.id == batch.id, completed_at=ended)
    return batch.id


def test_batches_leave_in_order_of_their_end_and_once(database: Database, tmp_path: Path) -> None:
    ids = [_ended(database, tmp_path, days) for days in (31, 33, 29, 32)]
    open_one = create_batch(database, BatchRequest(source_path=str(tmp_path))).id
    forgotten: list[int] = []

    def forget(batch_id: int) -> bool:
        forgotten.append(batch_id)
        return True

    assert retire_batches(database, days=30, delete_records=forget) == [ids[1], ids[3], ids[0]]
    assert retire_batches(database, days=30, delete_records=forget) == []
    assert forgotten == [ids[1], ids[3], ids[0]]
    assert open_one not in forgotten


@pytest.mark.slow
def test_more_batches_than_are_read_at_a_time(database: Database, tmp_path: Path) -> None:
    ids = [_ended(database, tmp_path, 31) for _ in range(105)]
    busy = set(ids[::2])
    assert set(retire_batches(database, days=30, delete_records=lambda id: id not in busy)) == set(ids) - busy
    assert set(retire_batches(database, days=30, delete_records=lambda id: True)) == busy


def test_a_batch_that_is_taken_back_into_work_meanwhile_is_not_retired(
    database: Database, tmp_path: Path
) -> None:
    batch_id = _ended(database, tmp_path, 31)

    def reopen(batch_id: int) -> bool:
        Rows(database).change(tables.batches, stage="shards", status="processing", completed_at=None)
        return True

    retire_batches(database, days=30, delete_records=reopen)
    with database.begin() as connection:
        assert batches.get(connection, batch_id).retired_at is None


def test_partitions_without_a_row_are_found(database: Database, tmp_path: Path) -> None:
    batch_id = create_batch(database, BatchRequest(source_path=str(tmp_path))).id
    Rows(database).shard(batch_id, number=0, key=f"{batch_id:06d}-000000:a.wav")
    by_hand = ["board meeting", f"{batch_id:06d}-000000:b.wav", "999999-000000"]
    assert unknown_shards(database, [*by_hand, f"{batch_id:06d}-000000:a.wav"]) == by_hand
    by_hand = ["board meeting", "999999", "9" * 30]
    assert unknown_batches(database, [*by_hand, f"{batch_id:06d}"]) == by_hand
