"""The dispatcher: ready shards are ordered once, in runs of neighbours, and again after a crash, up to a limit."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.execution.dispatch import Order, allocate_shards, revoke_order, tick
from stt_pipeline.batches.execution.run_size import SHARDS_PER_RUN
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.requests.validation import validated
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import batches, shards
from stt_pipeline.store.queue.batches import Priority
from stt_pipeline_tests.batches.recordings import Bucket, for_each_file, scan, scanned
from stt_pipeline_tests.rows import Rows


def _tick(database: Database, in_flight: int = 1_000) -> list[Order]:
    return tick(database, max_shards_in_flight=in_flight, max_active_batches=10, max_attempts=2)


def _folder(path: Path, count: int) -> Path:
    path.mkdir()
    for number in range(count):
        (path / f"{number:04d}.wav").touch()
    return path


def _run(database: Database, keys: Sequence[str], order: Order, run_id: str) -> ShardClaims:
    """Return the claims of a run that an order started."""
    claim = ClaimRequest(keys, "transcribe", run_id, token=order.token)
    return ShardClaims(database, claim, lease_seconds=60, max_attempts=2)


def _kill(database: Database, work: ShardClaims) -> None:
    """End a run as a kill does: heartbeats stop, the shards are not released, and then the lease expires."""
    work.heartbeat.stop()
    Rows(database).expire_leases(tables.shards)


def test_a_new_batch_is_scanned_first_and_an_order_repeats_until_it_is_claimed(
    database: Database, tmp_path: Path
) -> None:
    batch = create_batch(database, BatchRequest(source_path=str(_folder(tmp_path / "in", 1))))
    (first,) = _tick(database)
    (again,) = _tick(database)
    assert (first.job, first.batch_id, first.keys) == ("scan", batch.id, (f"{batch.id:06d}:in",))
    assert again == first
    assert progress(database, batch.id).dispatcher_last_tick is not None


def test_shards_become_runs_of_neighbours_within_the_limit_in_flight(
    database: Database, tmp_path: Path
) -> None:
    size = SHARDS_PER_RUN["transcribe"]
    _, _, keys = scanned(database, _folder(tmp_path / "in", 3 * size))
    half = 2 * size + 5  # one batch alone leaves as much room to others as it takes
    orders = _tick(database, in_flight=2 * half)
    cuts = [keys[:size], keys[size : 2 * size], keys[2 * size : half]]
    assert [order.keys for order in orders] == [tuple(cut) for cut in cuts]
    assert [order.place for order in orders] == [0, 1, 2]
    assert {order.job for order in orders} == {"transcribe"}
    assert _tick(database, in_flight=2 * half) == orders


def test_high_priority_goes_first(database: Database, tmp_path: Path) -> None:
    scanned(database, _folder(tmp_path / "normal", 3))
    high, _, _ = scanned(database, _folder(tmp_path / "high", 3), priority="high")
    (order,) = _tick(database, in_flight=1)
    assert (order.batch_id, order.priority) == (high.id, "high")


@pytest.mark.slow
def test_two_dispatchers_at_once_order_each_shard_once(database: Database, tmp_path: Path) -> None:
    for number in range(4):
        scanned(database, _folder(tmp_path / str(number), 30))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: _tick(database), range(8)))
    orders = _tick(database)
    ordered = [key for order in orders for key in order.keys]
    assert len(ordered) == len(set(ordered)) == 120


def test_shards_of_a_crashed_run_are_free_again_until_they_crash_too_often(
    database: Database, tmp_path: Path
) -> None:
    batch, _, keys = scanned(database, _folder(tmp_path / "in", 1))
    for attempt in (1, 2):
        (order,) = _tick(database)
        work = _run(database, keys, order, f"run {attempt}")
        work.__enter__()
        assert work.shards
        assert _tick(database) == []
        _kill(database, work)
    (order,) = _tick(database)
    assert order.job == "report"
    figures = progress(database, batch.id)
    assert figures.failures_by_class == {"internal": 1}
    with database.begin() as connection:
        error = connection.scalar(text("SELECT error FROM stt_audio_files"))
    assert "crashed or stopped responding 2 times" in str(error)


class _KilledError(BaseException):
    """A process that is killed while it processes a file."""


def test_a_file_that_crashes_its_run_fails_alone(database: Database, tmp_path: Path) -> None:
    batch = create_batch(database, BatchRequest(source_path=str(_folder(tmp_path / "in", 5))))
    Rows(database).change(tables.batches, files_per_shard=5)
    with database.begin() as connection:
        batch = batches.get(connection, batch.id)
    keys: list[str] = []
    scan(database, batch, keys)

    def step(shard: ClaimedShard, file: AudioFile) -> None:
        if file.status == "failed":
            return
        if file.uri.endswith("0002.wav"):
            raise _KilledError
        with database.begin() as connection:
            files.set_transcribed(connection, [file.id])

    for attempt in (1, 2):
        (order,) = _tick(database)
        work = _run(database, keys, order, f"run {attempt}")
        work.__enter__()
        with pytest.raises(_KilledError):
            for_each_file(work, step)
        _kill(database, work)
    (order,) = _tick(database)
    assert order.job == "transcribe"
    with _run(database, keys, order, "last") as work:
        for_each_file(work, step)
    figures = progress(database, batch.id)
    assert (figures.failures_by_class, figures.pending) == ({"internal": 1}, 4)
    with database.begin() as connection:
        (failed,) = files.failed(connection, batch.id, 10)
    assert failed.uri.endswith("0002.wav")


def test_an_order_whose_run_failed_to_start_is_repeated_after_a_while(
    database: Database, tmp_path: Path
) -> None:
    scanned(database, _folder(tmp_path / "in", 2))
    (order,) = _tick(database)
    revoke_order(database, order, "Run X ended before it began to work.")
    assert _tick(database) == []
    assert progress(database, order.batch_id).error == "Run X ended before it began to work."
    Rows(database).change(tables.shards, not_before=datetime.now(UTC))
    (force,) = _tick(database)
    assert force.keys == order.keys
    assert force.token != order.token
    # a run that starts late finds that its order was revoked
    with _run(database, order.keys, order, "late") as late:
        assert set(late.refused) == set(order.keys)


def test_a_paused_batch_waits(database: Database, tmp_path: Path) -> None:
    scanned(database, _folder(tmp_path / "in", 2))
    Rows(database).change(tables.batches, status="paused")
    assert _tick(database) == []
    Rows(database).change(tables.batches, status="processing")
    assert len(_tick(database)) == 1


def test_a_batch_is_reported_when_its_last_shard_is_done(database: Database, tmp_path: Path) -> None:
    batch, _, _ = scanned(database, _folder(tmp_path / "in", 2))
    Rows(database).change(tables.shards, tables.shards.c.number == 0, stage="done")
    assert {order.job for order in _tick(database)} == {"transcribe"}
    Rows(database).change(tables.shards, stage="done", token=None)
    (order,) = _tick(database)
    assert (order.job, order.batch_id) == ("report", batch.id)


def test_runs_that_fail_to_start_are_not_crashes(database: Database, tmp_path: Path) -> None:
    batch, _, keys = scanned(database, _folder(tmp_path / "in", 1))
    for _ in range(5):
        (order,) = _tick(database)
        revoke_order(database, order, "it could not start")
        Rows(database).change(tables.shards, not_before=datetime.now(UTC))
    (order,) = _tick(database)
    work = _run(database, keys, order, "run")
    work.__enter__()
    _kill(database, work)
    (again,) = _tick(database)
    assert again.keys == order.keys
    assert progress(database, batch.id).failures_by_class == {}


def _bucket(database: Database, folder: Path, count: int, *, size: int = 1_000, **request: object) -> int:
    """Return the id of a scanned batch whose files exist only in the listing."""
    batch = create_batch(database, validated(BatchRequest, {"source_path": str(folder), **request}))
    scan(database, batch, [], source=Bucket(count, size=size), max_bytes=1 << 40)
    return batch.id


def _shares(free: int, priorities: dict[int, Priority], held: dict[int, int], waiting: int) -> dict[int, int]:
    return allocate_shards(free, priorities=priorities, waiting=dict.fromkeys(priorities, waiting), held=held)


def test_batches_of_equal_priority_share_and_leave_room_for_the_next() -> None:
    equals: dict[int, Priority] = {1: "normal", 2: "normal"}
    assert _shares(90, equals, {}, 1_000) == {1: 30, 2: 30}
    assert _shares(100, {1: "normal"}, {}, 1_000) == {1: 50}
    # a late batch gets what was left for it
    assert _shares(50, equals, {1: 50}, 1_000) == {2: 25}
    assert _shares(25, {1: "normal", 2: "normal", 3: "normal"}, {1: 50, 2: 25}, 1_000) == {3: 13}
    # free places go to the batch that holds less
    assert _shares(40, equals, {1: 30, 2: 10}, 1_000) == {2: 15}


def test_higher_priority_takes_first() -> None:
    priorities: dict[int, Priority] = {1: "low", 2: "normal", 3: "high"}
    assert _shares(100, priorities, {}, 1_000) == {3: 50, 2: 25, 1: 13}
    assert _shares(100, priorities, {}, 5) == {3: 5, 2: 5, 1: 5}
    assert _shares(1, priorities, {}, 5) == {3: 1}


@pytest.mark.slow
def test_a_small_batch_does_not_wait_behind_a_huge_one(database: Database, tmp_path: Path) -> None:
    huge = _bucket(database, tmp_path, 20_000)
    first = _tick(database, in_flight=100)
    assert {order.batch_id for order in first} == {huge}
    small = _bucket(database, tmp_path, 3)
    second = [order for order in _tick(database, in_flight=100) if order.batch_id == small]
    assert [len(order.keys) for order in second] == [3]
    # and its run does not wait behind those of the huge one
    assert second[0].place == 0
    assert [order.place for order in first] == list(range(len(first)))
    assert len(first) > 1


@pytest.mark.slow
def test_the_number_of_active_batches_is_limited(database: Database, tmp_path: Path) -> None:
    ids = [_bucket(database, tmp_path, 3, priority=priority) for priority in ("low", "normal", "normal")]

    def active() -> set[int]:
        orders = tick(database, max_shards_in_flight=100, max_active_batches=2, max_attempts=2)
        return {order.batch_id for order in orders}

    assert active() == {ids[1], ids[2]}
    urgent = _bucket(database, tmp_path, 3, priority="high")
    assert active() == {ids[1], ids[2], urgent}
    # a batch that only waits for a retry is not active
    later = datetime.now(UTC) + timedelta(hours=1)
    Rows(database).change(tables.shards, tables.shards.c.batch_id != ids[0], token=None, not_before=later)
    assert active() == {ids[0]}


@pytest.mark.slow
def test_two_dispatchers_at_once_stay_within_the_limit(database: Database, tmp_path: Path) -> None:
    for _ in range(3):
        _bucket(database, tmp_path, 200)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: _tick(database, in_flight=50), range(12)))
    with database.begin() as connection:
        held = [number for number, _ in shards.in_flight(connection).values()]
    assert sum(held) <= 50
    assert min(held) >= 10


def test_runs_are_bounded_in_bytes(database: Database, tmp_path: Path) -> None:
    _bucket(database, tmp_path, 10, size=1 << 30)
    assert [len(order.keys) for order in _tick(database)] == [4, 4, 2]
