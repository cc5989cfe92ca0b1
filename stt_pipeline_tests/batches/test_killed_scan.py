"""A scan that is killed at any point and run again: no file is lost or added twice, and partitions are complete and in order."""

import random
import subprocess
import sys
from itertools import count
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from stt_pipeline.batches.execution.batch_claim import BatchClaim, claimed_batch
from stt_pipeline.batches.ingest.scan import ScanResult, scan_batch
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.errors import LeaseLostError
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.queue import batches, shards
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline_tests.batches.recordings import MAX_BYTES, Bucket, scan
from stt_pipeline_tests.rows import Rows

_FILES = 1_250  # 100 a shard


class _KilledError(BaseException):
    """Simulates a process that ends before a statement."""


def _new_batch(database: Database, folder: Path) -> Batch:
    return create_batch(database, BatchRequest(source_path=str(folder)))


def _assert_whole(database: Database, batch_id: int, count: int, keys: list[str]) -> None:
    with database.begin() as connection:
        uris = [file.uri for file in files.of_batch(connection, batch_id)]
        cut = shards.of_batch(connection, batch_id, -1, 100_000)
    assert uris == [found.uri for found in Bucket(count).list_objects()]
    assert [shard.number for shard in cut] == list(range(len(cut)))
    assert sum(shard.total for shard in cut) == count
    assert [key for key in keys if key.startswith(f"{batch_id:06d}")] == [shard.key for shard in cut]
    figures = progress(database, batch_id)
    assert (figures.status, figures.total_files, figures.pending) == ("processing", count, count)


@pytest.mark.slow
def test_it_continues_after_a_crash_at_any_statement(database: Database, tmp_path: Path) -> None:
    numbers = count()
    deadly = -1

    def before(*_: object) -> None:
        if next(numbers) == deadly:
            raise _KilledError

    event.listen(Engine, "before_cursor_execute", before)
    try:
        scan(database, _new_batch(database, tmp_path), [], source=Bucket(_FILES))
        statements = next(numbers)
        assert statements > 20
        # the first few create the batch; every third of the others, because a scan takes time
        for deadly in range(random.randrange(4, 7), statements, 3):  # noqa: B007 - before() reads it
            batch, keys = _new_batch(database, tmp_path), list[str]()
            numbers = count(4)
            try:
                scan(database, batch, keys, source=Bucket(_FILES))
            except _KilledError:
                scan(database, batch, keys, source=Bucket(_FILES))
            # a crash after Dagster has the keys and before we record it adds them again, which Dagster ignores
            _assert_whole(database, batch.id, _FILES, list(dict.fromkeys(keys)))
    finally:
        event.remove(Engine, "before_cursor_execute", before)


@pytest.mark.slow
def test_it_survives_kill_nine(database: Database, database_url: str, tmp_path: Path) -> None:
    count = 60_000
    dagster_url = database_url.replace("+psycopg:", "+psycopg2:")
    (tmp_path / "dagster.yaml").write_text(f"storage: {{postgres: {{postgres_url: '{dagster_url}'}}}}")
    seed = random.randrange(1_000_000)
    print("seed", seed)
    chance = random.Random(seed)
    crashes = [
        ("object", chance.randrange(count)),
        ("statement", chance.randrange(10, 25)),
        ("partitions", chance.randrange(2)),
    ]
    batch = _new_batch(database, tmp_path)
    for kind, number in [*crashes, ("never", 0)]:
        Rows(database).expire_leases(tables.batches)
        arguments = [database_url, str(tmp_path), str(batch.id), str(count), kind, str(number)]
        ended = subprocess.run(
            [sys.executable, "-m", "stt_pipeline_tests.batches.killed_scan", *arguments],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == (0 if kind == "never" else -9), ended.stderr
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        keys = list(instance.get_dynamic_partitions("audio"))
    assert len(keys) == len(set(keys)) == count // 100
    _assert_whole(database, batch.id, count, keys)


def test_a_scan_that_lost_its_lease_writes_nothing(database: Database, tmp_path: Path) -> None:
    batch, keys = _new_batch(database, tmp_path), list[str]()
    results: list[ScanResult] = []

    def overtake(number: int) -> None:
        """Let another run do the whole scan in the middle of this one."""
        if number == 700:
            Rows(database).expire_leases(tables.batches)
            results.append(scan(database, batch, keys, source=Bucket(_FILES)))

    with (
        pytest.raises(LeaseLostError),
        claimed_batch(database, batch.id, run_id="late", token=None, lease_seconds=60) as work,
    ):
        _run(work, keys, Bucket(_FILES + 1, at_object=overtake))
    assert results[0].new_files == _FILES
    _assert_whole(database, batch.id, _FILES, keys)
    with database.begin() as connection:
        assert batches.get(connection, batch.id).error is None


def _run(work: BatchClaim, keys: list[str], source: Bucket) -> ScanResult:
    return scan_batch(
        work, add_partitions=keys.extend, max_file_bytes=MAX_BYTES, open_source=lambda path, pattern: source
    )
