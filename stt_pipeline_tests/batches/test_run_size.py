"""The size of runs: a run for each free slot, hours of audio, and short recordings apart from long ones."""

from pathlib import Path

import pytest

from stt_pipeline.batches.execution import run_size, transcription_stream
from stt_pipeline.batches.execution.dispatch import Order, tick
from stt_pipeline.batches.execution.run_size import MOST_AUDIO_SECONDS, SHARDS_PER_RUN, long_ones
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue.shards import Stage
from stt_pipeline_tests.batches.recordings import (
    Bucket,
    CountingTranscriber,
    OneSpeaker,
    scan,
    scanned,
    write_tone,
)
from stt_pipeline_tests.batches.stage_runs import claim_shards, statuses_of
from stt_pipeline_tests.rows import Rows

HOUR = 3600.0


def _tick(database: Database, **slots: int) -> list[Order]:
    known: dict[Stage, int] = {"transcribe": slots["transcribe"]} if slots else {}
    return tick(database, max_shards_in_flight=1_000, max_active_batches=10, max_attempts=3, run_slots=known)


def _bucket(database: Database, folder: Path, count: int) -> int:
    """Return the id of a batch with one shard for each of so many files, which exist only in the listing."""
    folder.mkdir()
    batch = create_batch(database, BatchRequest(source_path=str(folder)))
    scan(database, batch, [], source=Bucket(count))
    return batch.id


def _lengths(database: Database, *seconds: float) -> None:
    for number, length in enumerate(seconds):
        Rows(database).change(tables.shards, tables.shards.c.number == number, probed_seconds=length)


def _sizes(orders: list[Order]) -> list[int]:
    return [len(order.keys) for order in orders]


def test_every_free_slot_gets_a_run(database: Database, tmp_path: Path) -> None:
    _bucket(database, tmp_path / "a", 50)
    assert _sizes(_tick(database, transcribe=4)) == [13, 13, 13, 11]
    # no slot is free for the next batch, so it waits in as few runs as possible
    late = _bucket(database, tmp_path / "b", 50)
    orders = [order for order in _tick(database, transcribe=4) if order.batch_id == late]
    assert _sizes(orders) == [SHARDS_PER_RUN["transcribe"]]


def test_batches_share_the_free_slots(database: Database, tmp_path: Path) -> None:
    for name in "ab":
        _bucket(database, tmp_path / name, 20)
    orders = _tick(database, transcribe=4)
    assert (len(orders), len({order.batch_id for order in orders})) == (4, 2)


def test_without_a_known_limit_a_run_takes_what_it_can(database: Database, tmp_path: Path) -> None:
    _bucket(database, tmp_path / "a", 50)
    assert _sizes(_tick(database)) == [50]


def test_probed_shards_are_dispatched_by_hours_of_audio(database: Database, tmp_path: Path) -> None:
    _bucket(database, tmp_path / "a", 6)
    _lengths(database, *[MOST_AUDIO_SECONDS / 4] * 6)
    assert _sizes(_tick(database)) == [4, 2]


def test_a_probed_long_recording_is_dispatched_alone(database: Database, tmp_path: Path) -> None:
    _bucket(database, tmp_path / "a", 5)
    _lengths(database, 30, 20, 2 * HOUR, 25, 35)
    assert _sizes(_tick(database)) == [2, 1, 2]


def test_publishing_does_not_depend_on_the_length(database: Database, tmp_path: Path) -> None:
    _bucket(database, tmp_path / "a", 4)
    _lengths(database, 30, 9 * HOUR, 2 * HOUR, 9 * HOUR)
    Rows(database).change(tables.shards, stage="publish")
    assert _sizes(_tick(database)) == [4]


def test_long_ones_would_more_than_double_the_run() -> None:
    assert long_ones({}) == set()
    assert long_ones({"only": 10 * HOUR}) == set()
    assert long_ones({"a": HOUR, "b": 1.9 * HOUR, "c": HOUR}) == set()
    assert long_ones({"a": 60, "b": 2 * HOUR, "c": 90}) == {"b"}
    assert long_ones({"a": 60, "b": 2 * HOUR, "c": 3 * HOUR}) == {"b", "c"}
    # what lasts no longer than the start of a run delays no one
    assert long_ones({"a": 1, "b": 590}) == set()
    assert long_ones(dict.fromkeys(range(40), 10 * 60.0) | {40: 2 * HOUR}) == set()


def _run(database: Database, order: Order, transcriber: CountingTranscriber) -> ShardClaims:
    """Take an order through the steps of the transcribe stage, each with a claim of its own, as Dagster does."""
    how = {"token": order.token, "run_id": order.token}
    with claim_shards(database, list(order.keys), last_step=False, **how) as claims:
        probe_files(claims)
    with claim_shards(database, list(order.keys), first_step=False, last_step=False, **how) as claims:
        transcribe_files(claims, lambda options: transcriber)
    with claim_shards(database, list(order.keys), first_step=False, **how) as last:
        find_speakers(last, lambda options: OneSpeaker())
    return claims


def test_minutes_of_short_recordings_do_not_wait_for_a_long_neighbour(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_size, "SHORT_SECONDS", 1.0)
    for number, seconds in enumerate((0.5, 0.4, 9.0, 0.6)):
        write_tone(tmp_path / "in" / f"{number}.wav", seconds)
    batch, _, keys = scanned(database, tmp_path / "in")
    (order,) = _tick(database)
    assert order.keys == tuple(keys)
    transcriber = CountingTranscriber()
    claims = _run(database, order, transcriber)
    assert list(claims.refused) == [keys[2]]
    assert "much longer than the others" in claims.refused[keys[2]]
    assert transcriber.calls == 3
    # the short ones go on to their minutes while the long one has a run of its own, which does not probe it again
    orders = {order.job: order.keys for order in _tick(database)}
    assert orders["transcribe"] == (keys[2],)
    assert set(orders["publish"]) <= {keys[0], keys[1], keys[3]}
    (long,) = (order for order in _tick(database) if order.job == "transcribe")
    _run(database, long, transcriber)
    assert transcriber.calls == 4
    assert set(statuses_of(database, batch.id).values()) == {"transcribed"}


def test_a_run_is_bounded_in_hours_also_within_a_shard(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription_stream, "MOST_AUDIO_SECONDS", 2.5)
    for number in range(7):
        write_tone(tmp_path / "in" / f"{number}.wav", 1.0)
    batch, _, _ = scanned(database, tmp_path / "in", files_per_shard=3)
    transcriber = CountingTranscriber()
    runs = []
    for _ in range(4):
        (order,) = (order for order in _tick(database) if order.job == "transcribe")
        before = transcriber.calls
        _run(database, order, transcriber)
        runs.append(transcriber.calls - before)
    assert runs == [2, 2, 2, 1]
    assert set(statuses_of(database, batch.id).values()) == {"transcribed"}
    assert progress(database, batch.id).transcribed == 7


def test_a_run_is_bounded_in_time_and_finishes_the_shards_that_it_has_begun(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription_stream, "MOST_SECONDS", -1.0)
    for number in range(5):
        write_tone(tmp_path / "in" / f"{number}.wav", 0.2)
    batch, _, keys = scanned(database, tmp_path / "in", files_per_shard=2)
    transcriber = CountingTranscriber()
    for shard, transcribed in enumerate((2, 4, 5)):
        (order,) = (order for order in _tick(database) if order.job == "transcribe")
        # what is handed back is dispatched again at once
        assert order.keys == tuple(keys[shard:])
        claims = _run(database, order, transcriber)
        assert list(claims.refused) == keys[shard + 1 :]
        assert all("transcribed for 10 minutes" in claims.refused[key] for key in claims.refused)
        assert transcriber.calls == transcribed
    assert set(statuses_of(database, batch.id).values()) == {"transcribed"}


def test_a_recording_longer_than_the_bound_is_transcribed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription_stream, "MOST_AUDIO_SECONDS", 0.5)
    batch, _, _ = scanned(database, write_tone(tmp_path / "in" / "0.wav", 1.0).parent)
    (order,) = _tick(database)
    _run(database, order, CountingTranscriber())
    assert statuses_of(database, batch.id) == {"0.wav": "transcribed"}


def test_a_run_of_a_user_does_all_its_shards(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription_stream, "MOST_AUDIO_SECONDS", 0.5)
    monkeypatch.setattr(transcription_stream, "MOST_SECONDS", -1.0)
    monkeypatch.setattr(run_size, "SHORT_SECONDS", 0.1)
    write_tone(tmp_path / "in" / "0.wav", 0.2)
    batch, _, keys = scanned(database, write_tone(tmp_path / "in" / "1.wav", 3.0).parent)
    with claim_shards(database, keys) as claims:
        probe_files(claims)
        transcribe_files(claims, lambda options: CountingTranscriber())
    assert not claims.refused
    assert progress(database, batch.id).transcribed == 2
