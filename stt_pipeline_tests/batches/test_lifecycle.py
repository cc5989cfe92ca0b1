"""Changes of a batch by users: only those that its status allows, at once, and without loss."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import get_args

import pytest
from sqlalchemy import ColumnElement

from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.execution.dispatch import Order, tick
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.keys import clean_name
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.requests.retry import retry
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import batches, shards
from stt_pipeline.store.queue.batches import Batch, Status
from stt_pipeline.store.queue.transitions import TRANSITIONS, Move
from stt_pipeline_tests.batches.recordings import MAX_BYTES, Bucket, for_each_file, scan
from stt_pipeline_tests.rows import Rows

ACTIONS: dict[Move, Callable[[Database, int], object]] = {
    "paused": lifecycle.pause,
    "resumed": lifecycle.resume,
    "cancelled": lifecycle.cancel,
    "deleted": lifecycle.delete,
    "retried": lambda database, batch_id: retry(database, batch_id, max_file_bytes=MAX_BYTES),
}


def _batch(database: Database, folder: Path, count: int = 3, *, size: int = 1_000) -> tuple[Batch, list[str]]:
    """Return a scanned batch and its keys."""
    batch = create_batch(database, BatchRequest(source_path=str(folder)))
    keys: list[str] = []
    scan(database, batch, keys, source=Bucket(count, size=size))
    return batch, keys


def _fail(database: Database, *where: ColumnElement[bool], error_class: str = "download") -> None:
    """Fail files of all batches as a run would, and close all shards."""
    Rows(database).fail(*where, error_class=error_class)
    Rows(database).change(tables.shards, stage="done")


def _status(database: Database, batch_id: int) -> Status:
    with database.begin() as connection:
        return batches.get(connection, batch_id).status


def _tick(database: Database) -> list[Order]:
    return tick(database, max_shards_in_flight=1_000, max_active_batches=10, max_attempts=3)


def _run(database: Database, order: Order, run_id: str = "run", *, last_step: bool = True) -> ShardClaims:
    claim = ClaimRequest(order.keys, "transcribe", run_id, token=order.token, last_step=last_step)
    return ShardClaims(database, claim, lease_seconds=60, max_attempts=3)


@pytest.mark.slow
def test_only_transitions_of_the_table_are_allowed(database: Database, tmp_path: Path) -> None:
    for move, act in ACTIONS.items():
        for status in get_args(Status):
            batch, _ = _batch(database, tmp_path)
            _fail(database)
            stage = "done" if status in ("completed", "failed", "cancelled") else "shards"
            Rows(database).change(tables.batches, tables.batches.c.id == batch.id, status=status, stage=stage)
            if status in TRANSITIONS[move]:
                act(database, batch.id)
                assert (
                    _status(database, batch.id)
                    == {
                        "paused": "paused",
                        "resumed": "processing",
                        "cancelled": "cancelled",
                        "deleted": "deleting",
                        "retried": status if status in ("paused", "scanning") else "processing",
                    }[move]
                )
            else:
                reason = "being deleted" if status == "deleting" else status
                with pytest.raises(InvalidRequestError, match=f"Batch {batch.id} is {reason}"):
                    act(database, batch.id)
                assert _status(database, batch.id) == status


def test_an_unknown_batch_is_refused(database: Database) -> None:
    for act in ACTIONS.values():
        with pytest.raises(InvalidRequestError, match="Batch 77 does not exist"):
            act(database, 77)


@pytest.mark.slow
def test_a_pause_revokes_orders_that_no_run_has_begun_and_finishes_the_rest(
    database: Database, tmp_path: Path
) -> None:
    batch, keys = _batch(database, tmp_path, 120)
    first, second, _ = _tick(database)
    done: list[str] = []

    def step(shard: ClaimedShard, file: AudioFile) -> None:
        with database.begin() as connection:
            files.set_transcribed(connection, [file.id])
        done.append(shard.key)
        if len(done) == 2:
            lifecycle.pause(database, batch.id)

    with _run(database, first, last_step=False) as work:
        for_each_file(work, step)
        # two were active, and continue through the other steps of this run
        assert [shard.key for shard in work.shards] == done == keys[:2]
        assert set(work.refused.values()) == {f"batch {batch.id} is paused"}
    with _run(database, first) as rest:
        assert [shard.key for shard in rest.shards] == keys[:2]
    # the order of the queued run was revoked
    with _run(database, second, "queued") as queued:
        assert queued.shards == []
        assert set(queued.refused.values()) == {f"batch {batch.id} is paused"}
    assert _tick(database) == []
    figures = progress(database, batch.id)
    assert (figures.status, figures.pending, figures.estimated_completion) == ("paused", 120, None)
    lifecycle.resume(database, batch.id)
    ordered = [key for order in _tick(database) for key in order.keys]
    assert sorted(ordered) == keys


def test_a_run_of_a_user_may_work_on_a_paused_batch(database: Database, tmp_path: Path) -> None:
    batch, keys = _batch(database, tmp_path)
    lifecycle.pause(database, batch.id)
    seen: list[int] = []
    claim = ClaimRequest(keys, "transcribe", "by hand", last_step=False)
    with ShardClaims(database, claim, lease_seconds=60, max_attempts=3) as work:
        for_each_file(work, lambda shard, file: seen.append(file.id))
    assert len(seen) == 3


@pytest.mark.parametrize(("scanned", "after"), [(False, "pending"), (True, "processing")])
def test_resume_continues_where_the_batch_was(
    database: Database, tmp_path: Path, scanned: bool, after: Status
) -> None:
    batch = create_batch(database, BatchRequest(source_path=str(tmp_path)))
    if scanned:
        scan(database, batch, [], source=Bucket(3))
    lifecycle.pause(database, batch.id)
    assert _tick(database) == []
    lifecycle.resume(database, batch.id)
    assert _status(database, batch.id) == after
    assert _tick(database)[0].job == ("transcribe" if scanned else "scan")


def test_no_run_writes_after_a_cancel(database: Database, tmp_path: Path) -> None:
    batch, keys = _batch(database, tmp_path, 60)
    first, second = _tick(database)
    done: list[int] = []

    def step(shard: ClaimedShard, file: AudioFile) -> None:
        done.append(file.id)
        if len(done) == 3:
            lifecycle.cancel(database, batch.id)
        with database.begin() as connection:
            shard.verify(connection)
            files.set_transcribed(connection, [file.id])

    with _run(database, first) as work:
        for_each_file(work, step)
        assert len(done) == 3
        assert {shard.key for shard in work.shards} == set(keys[:2])
        assert "batch was cancelled" in work.refused[keys[2]]
    with _run(database, second, "queued") as queued:
        assert (queued.shards, set(queued.refused.values())) == ([], {f"batch {batch.id} is cancelled"})
    assert _tick(database) == []
    figures = progress(database, batch.id)
    assert (figures.status, figures.is_over, figures.pending, figures.failed) == ("cancelled", True, 60, 0)
    with database.begin() as connection:
        assert shards.in_flight(connection) == {}
        assert batches.being_cancelled(connection) == [batch.id]


def test_a_scan_ends_when_its_batch_is_cancelled(database: Database, tmp_path: Path) -> None:
    batch = create_batch(database, BatchRequest(source_path=str(tmp_path)))

    def cancel(number: int) -> None:
        if number == 5:
            lifecycle.cancel(database, batch.id)

    with pytest.raises(Exception, match="batch was cancelled"):
        scan(database, batch, [], source=Bucket(10, at_object=cancel))
    figures = progress(database, batch.id)
    assert (figures.status, figures.total_files, figures.error) == ("cancelled", None, None)


def test_a_batch_with_an_active_run_is_not_deleted(database: Database, tmp_path: Path) -> None:
    batch, keys = _batch(database, tmp_path)
    Rows(database).change(tables.batches, status="completed", stage="done")
    claim = ClaimRequest(keys[:1], "transcribe", "by hand")
    with (
        ShardClaims(database, claim, lease_seconds=60, max_attempts=3),
        pytest.raises(InvalidRequestError, match="being worked on by run by hand"),
    ):
        lifecycle.delete(database, batch.id)
    assert _status(database, batch.id) == "completed"
    lifecycle.delete(database, batch.id)
    (order,) = _tick(database)
    assert (order.job, order.keys) == ("delete", (f"{batch.id:06d}:{clean_name(tmp_path.name)}",))


def test_one_class_is_retried_and_the_others_stay(database: Database, tmp_path: Path) -> None:
    batch, _ = _batch(database, tmp_path, 1_500)
    third = tables.audio_files.c.id % 3
    Rows(database).change(tables.audio_files, third == 2, status="success")
    _fail(database, third == 0, error_class="download")
    _fail(database, third == 1, error_class="unreadable")
    Rows(database).change(tables.batches, status="completed", stage="done", completed_at=datetime.now(UTC))
    assert progress(database, batch.id).failures_by_class == {"download": 500, "unreadable": 500}
    assert retry(database, batch.id, max_file_bytes=MAX_BYTES, error_class="download") == 500
    figures = progress(database, batch.id)
    assert (figures.status, figures.completed_at) == ("processing", None)
    assert (figures.completed, figures.failed, figures.pending) == (500, 500, 500)
    assert figures.failures_by_class == {"unreadable": 500}
    assert sum(len(order.keys) for order in _tick(database)) == 15
    with pytest.raises(InvalidRequestError, match="no failed file of class download to retry"):
        retry(database, batch.id, max_file_bytes=MAX_BYTES, error_class="download")
    assert retry(database, batch.id, max_file_bytes=MAX_BYTES) == 500
    assert progress(database, batch.id).pending == 1_000


def test_a_retry_revokes_an_order_for_another_stage(database: Database, tmp_path: Path) -> None:
    batch, keys = _batch(database, tmp_path, 1)
    _fail(database)
    Rows(database).change(tables.shards, stage="publish")
    (publish,) = _tick(database)
    assert publish.job == "publish"
    retry(database, batch.id, max_file_bytes=MAX_BYTES)
    (transcribe,) = _tick(database)
    assert (transcribe.job, transcribe.keys) == ("transcribe", tuple(keys))
    assert transcribe.token != publish.token


def test_files_that_were_too_large_are_retried_once_the_limit_allows_it(
    database: Database, tmp_path: Path
) -> None:
    batch = create_batch(database, BatchRequest(source_path=str(tmp_path)))
    scan(database, batch, [], source=Bucket(3, size=5_000), max_bytes=4_999)
    assert progress(database, batch.id).failures_by_class == {"too_large": 3}
    with pytest.raises(InvalidRequestError, match="within STT_MAX_FILE_BYTES"):
        retry(database, batch.id, max_file_bytes=4_999, error_class="too_large")
    assert retry(database, batch.id, max_file_bytes=5_000) == 3


def test_an_unknown_class_is_refused_with_the_known_ones(database: Database, tmp_path: Path) -> None:
    batch, _ = _batch(database, tmp_path)
    with pytest.raises(InvalidRequestError, match="no error class 'timeout'"):
        retry(database, batch.id, max_file_bytes=MAX_BYTES, error_class="timeout")


@pytest.mark.slow
def test_users_runs_and_dispatch_never_deadlock(database: Database, tmp_path: Path) -> None:
    batch, keys = _batch(database, tmp_path, 150)

    def cancel() -> None:
        lifecycle.pause(database, batch.id)
        lifecycle.cancel(database, batch.id)
        Rows(database).change(tables.batches, status="processing", stage="shards")

    def run(number: int) -> None:
        # runs of a user, over shards in another order than they were created
        claim = ClaimRequest(keys[number::3][::-1], "transcribe", f"run {number}")
        with ShardClaims(database, claim, lease_seconds=60, max_attempts=3):
            pass

    actions: list[Callable[[], object]] = [
        cancel,
        lambda: _tick(database),
        *(partial(run, number) for number in range(3)),
    ]
    rounds = [0] * len(actions)
    failed = Event()

    def repeat(place: int) -> None:
        # all go on until the slowest has enough rounds, so that each action meets every other one
        try:
            while min(rounds) < 10 and not failed.is_set():
                actions[place]()
                rounds[place] += 1
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(len(actions)) as pool:
        # Postgres ends one of the transactions of a deadlock with an error
        for done in [pool.submit(repeat, place) for place in range(len(actions))]:
            done.result()
    assert min(rounds) >= 10
