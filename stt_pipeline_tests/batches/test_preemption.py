"""Preemption: a run of lower priority hands its recordings back when a batch of higher priority has no place to run."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from stt_pipeline.batches.execution.dispatch import Order, tick
from stt_pipeline.batches.execution.preemption import MOST_PREEMPTIONS, runs_to_preempt
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.speech.recordings import Outcome, Progress, Recording
from stt_pipeline.speech.transcriber import Transcriber
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue.batches import Batch, Priority
from stt_pipeline.store.queue.runs import RunInFlight
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker, scanned, write_tone
from stt_pipeline_tests.batches.stage_runs import statuses_of

_START = datetime(2026, 1, 1, tzinfo=UTC)


def _waiting(priority: Priority) -> RunInFlight:
    return RunInFlight("transcribe", None, priority, _START, False, 0)


def _claimed(
    run_id: str,
    priority: Priority,
    *,
    minute: int | None = 0,
    preempted: bool = False,
    preemptions: int = 0,
) -> RunInFlight:
    dispatched_at = None if minute is None else _START + timedelta(minutes=minute)
    return RunInFlight("transcribe", run_id, priority, dispatched_at, preempted, preemptions)


def test_a_waiting_run_preempts_the_lowest_and_youngest_run_below_it() -> None:
    claimed = [_claimed("a", "normal"), _claimed("b", "low"), _claimed("c", "low", minute=1)]
    assert runs_to_preempt([*claimed, _waiting("high")], 3) == ["c"]
    assert runs_to_preempt([*claimed, _waiting("high"), _waiting("high")], 3) == ["c", "b"]
    assert runs_to_preempt([*claimed, _waiting("normal")] + [_waiting("normal")] * 3, 3) == ["c", "b"]


def test_equal_and_lower_priorities_never_preempt() -> None:
    for priority in ("normal", "low"):
        assert runs_to_preempt([_claimed("a", "normal"), _waiting(priority)], 1) == []  # type: ignore[arg-type]
    assert runs_to_preempt([_claimed("a", "high"), _waiting("high")], 1) == []


def test_a_run_that_finds_a_place_preempts_none() -> None:
    assert runs_to_preempt([_claimed("a", "low"), _waiting("high")], 2) == []
    # the free place is for the highest that wait
    assert runs_to_preempt([_claimed("a", "low"), _waiting("normal"), _waiting("high")], 2) == ["a"]
    assert runs_to_preempt([_claimed("a", "low"), _waiting("low"), _waiting("high")], 2) == []
    # the place of a preempted run is taken into account until it ends
    assert runs_to_preempt([_claimed("a", "low", preempted=True), _waiting("high")], 1) == []


def test_runs_of_users_and_often_preempted_runs_go_on() -> None:
    assert runs_to_preempt([_claimed("a", "low", minute=None), _waiting("high")], 1) == []
    often = _claimed("a", "low", preemptions=MOST_PREEMPTIONS)
    assert runs_to_preempt([often, _waiting("high")], 1) == []


class _Interrupted(CountingTranscriber):
    """Transcribes one recording, and is then in the middle of another one until it is stopped.

    Attributes:
        meanwhile: called once in the middle of that recording.
        stopped: whether it was stopped there.
    """

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self.meanwhile = meanwhile
        self.stopped = False

    def transcribe(
        self, recordings: Iterable[Recording], *, progress: Progress | None = None
    ) -> Iterator[Outcome]:
        coming = iter(recordings)
        yield from super().transcribe([next(coming)])
        long = next(coming)
        self.meanwhile()
        end = time.monotonic() + 60
        while time.monotonic() < end and progress:
            try:
                progress(long, 0.1)
            except BaseException:
                self.stopped = True
                raise
            time.sleep(0.02)
        yield from super().transcribe([long, *coming])


def _orders(database: Database) -> dict[Priority, Order]:
    found = tick(
        database,
        max_shards_in_flight=100,
        max_active_batches=9,
        max_attempts=3,
        run_slots={"transcribe": 1},
    )
    return {order.priority: order for order in found if order.job == "transcribe"}


def _batch(database: Database, folder: Path, count: int, priority: Priority, **how: int) -> Batch:
    for number in range(count):
        write_tone(folder / f"{number}.wav", 0.2)
    return scanned(database, folder, priority=priority, **how)[0]  # type: ignore[arg-type]


def _claims(database: Database, order: Order, **how: bool) -> ShardClaims:
    request = ClaimRequest(order.keys, "transcribe", f"run {order.token}", token=order.token, **how)
    # a heartbeat every two seconds
    return ShardClaims(database, request, lease_seconds=8, max_attempts=3)


def _run(database: Database, order: Order, transcriber: Transcriber) -> tuple[list[str], list[str]]:
    """Take an order through the steps of its stage; return the shards that passed the second and the last step."""
    with _claims(database, order, last_step=False) as claims:
        probe_files(claims)
    with _claims(database, order, first_step=False, last_step=False) as claims:
        transcribe_files(claims, lambda options: transcriber)
    with _claims(database, order, first_step=False) as last:
        find_speakers(last, lambda options: OneSpeaker())
    return [shard.key for shard in claims.shards], [shard.key for shard in last.shards]


def _counts(database: Database, batch: Batch) -> tuple[object, ...]:
    """Return the highest tries, crashes and preemptions of the batch's shards, and attempts of its files."""
    with database.begin() as connection:
        row = connection.execute(
            text("""
                SELECT max(s.tries), max(s.crashes), max(s.preemptions), max(f.attempts)
                FROM stt_shards s JOIN stt_audio_files f ON f.shard_id = s.id WHERE s.batch_id = :batch
            """),
            {"batch": batch.id},
        ).one()
    return tuple(row)


@pytest.mark.slow
@pytest.mark.parametrize("files_per_shard", [1, 4])
def test_a_high_batch_starts_in_the_middle_of_a_recording_of_a_normal_one(
    database: Database, tmp_path: Path, files_per_shard: int
) -> None:
    normal = _batch(database, tmp_path / "normal", 4, "normal", files_per_shard=files_per_shard)
    first = _orders(database)["normal"]
    high: list[Batch] = []

    def meanwhile() -> None:
        high.append(_batch(database, tmp_path / "high", 1, "high"))
        assert set(_orders(database)) == {"high"}  # its run waits for the only place

    interrupted = _Interrupted(meanwhile)
    passed, ended = _run(database, first, interrupted)
    assert interrupted.stopped
    assert (len(passed), ended) == (1 if files_per_shard == 1 else 0, [])
    assert (progress(database, normal.id).transcribed, progress(database, normal.id).failed) == (1, 0)
    # all of it waits for its next run, and no attempt is counted
    orders = _orders(database)
    assert set(orders) == {"high", "normal"}
    assert orders["normal"].keys == first.keys
    assert _counts(database, normal) == (1, 0, 1, 0)
    _run(database, orders["high"], CountingTranscriber())
    assert statuses_of(database, high[0].id) == {"0.wav": "transcribed"}
    # the transcript is not made again
    rest = CountingTranscriber()
    _run(database, orders["normal"], rest)
    assert rest.calls == 3
    assert set(statuses_of(database, normal.id).values()) == {"transcribed"}
    assert _counts(database, normal)[2] == 0


def test_a_batch_of_equal_priority_waits(database: Database, tmp_path: Path) -> None:
    normal = _batch(database, tmp_path / "a", 2, "normal")
    order = _orders(database)["normal"]

    class _Observed(CountingTranscriber):
        def transcribe(
            self, recordings: Iterable[Recording], *, progress: Progress | None = None
        ) -> Iterator[Outcome]:
            coming = iter(recordings)
            first = next(coming)
            _batch(database, tmp_path / "b", 1, "normal")
            _orders(database)
            yield from super().transcribe([first, *coming])

    passed, ended = _run(database, order, _Observed())
    assert len(passed) == len(ended) == 2
    assert set(statuses_of(database, normal.id).values()) == {"transcribed"}


@pytest.mark.slow
def test_a_preempted_batch_makes_progress_until_it_is_not_preempted_again(
    database: Database, tmp_path: Path
) -> None:
    normal = _batch(database, tmp_path / "normal", 1 + MOST_PREEMPTIONS + 2, "normal", files_per_shard=9)
    for number in range(MOST_PREEMPTIONS):
        order = _orders(database)["normal"]
        folder = tmp_path / f"high {number}"

        def meanwhile(folder: Path = folder) -> None:
            _batch(database, folder, 1, "high")
            _orders(database)

        _run(database, order, _Interrupted(meanwhile))
        assert progress(database, normal.id).transcribed == number + 1
        _run(database, _orders(database)["high"], CountingTranscriber())
    order = _orders(database)["normal"]
    _batch(database, tmp_path / "last", 1, "high")
    with _claims(database, order, last_step=False):
        assert set(_orders(database)) == {"high"}
        with _claims(database, order, last_step=False) as claims:
            assert not claims.is_preempted


def test_speakers_of_a_preempted_run_are_found_by_a_later_one(database: Database, tmp_path: Path) -> None:
    normal = _batch(database, tmp_path / "normal", 3, "normal")
    order = _orders(database)["normal"]
    with _claims(database, order, last_step=False) as claims:
        probe_files(claims)
        transcribe_files(claims, lambda options: CountingTranscriber())
    _batch(database, tmp_path / "high", 1, "high")
    _orders(database)
    with _claims(database, order, first_step=False) as last:
        find_speakers(last, lambda options: OneSpeaker())
    assert not last.shards
    assert set(statuses_of(database, normal.id).values()) == {"pending"}
    again = CountingTranscriber()
    _run(database, _orders(database)["normal"], again)
    assert again.calls == 0
    assert set(statuses_of(database, normal.id).values()) == {"transcribed"}
