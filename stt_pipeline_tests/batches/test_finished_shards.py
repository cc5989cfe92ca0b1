"""A shard that has passed its stage is released while its run goes on with others, and the next stage can start."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from stt_pipeline.audio.sound import Sound, all_samples
from stt_pipeline.batches.execution import finished_shards
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.execution.dispatch import Order, tick
from stt_pipeline.batches.execution.finished_shards import EVENTS_SECONDS, RELEASE_SECONDS, FinishedShards
from stt_pipeline.batches.execution.listener import StepListener
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.stages import transcribe
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.errors import DownloadError
from stt_pipeline.speech.diarization import ANY_NUMBER, SpeakerCount
from stt_pipeline.speech.transcript import SpeakerTurn
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker, scanned, write_tone
from stt_pipeline_tests.batches.stage_runs import claim_shards, statuses_of

LIMIT = 60.0  # seconds; it only ends a test that fails


class Meanwhile(OneSpeaker):
    """Works on recordings of over a second until a condition holds.

    Attributes:
        held: whether it held in time.
    """

    def __init__(self, condition: Callable[[], bool]) -> None:
        self.condition = condition
        self.held = False

    def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        if len(all_samples(sound)) > 16_000:
            end = time.monotonic() + LIMIT
            while not self.held and time.monotonic() < end:
                self.held = self.condition()
                time.sleep(0.05)
        return super().diarize(sound, speaker_count)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finished_shards, "EVENTS_SECONDS", 0.0)
    monkeypatch.setattr(finished_shards, "RELEASE_SECONDS", 0.0)
    monkeypatch.setattr("stt_pipeline.batches.execution.file_loop.WRITE_SECONDS", 0.05)


def _tick(database: Database) -> dict[str, Order]:
    orders = tick(database, max_shards_in_flight=99, max_active_batches=9, max_attempts=3)
    return {order.job: order for order in orders}


def _long_and_short(database: Database, folder: Path) -> tuple[int, list[str]]:
    """Scan two shards, the long one first, and transcribe them."""
    write_tone(folder / "0.wav", 1.5)
    write_tone(folder / "1.wav", 0.5)
    batch, _, keys = scanned(database, folder)
    return batch.id, keys


def _speakers(
    database: Database, keys: list[str], diarizer: OneSpeaker, *, token: str | None, **last: bool
) -> None:
    """Run the steps of the transcribe stage, each with a claim of its own."""
    how = {"token": token, "run_id": token or "of a user"}
    with claim_shards(database, keys, last_step=False, **how) as claims:
        probe_files(claims)
        transcribe_files(claims, lambda options: CountingTranscriber())
    with claim_shards(database, keys, first_step=False, first_of_stage=False, **how, **last) as claims:
        find_speakers(claims, lambda options: diarizer)


@pytest.mark.parametrize("cores", [1, 4])
def test_a_short_recording_is_published_while_its_run_diarizes_a_long_one(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    monkeypatch.setattr(transcribe, "usable_cores", lambda: cores)
    batch_id, (long, short) = _long_and_short(database, tmp_path / "in")
    order = _tick(database)["transcribe"]
    assert order.keys == (long, short)

    def is_dispatched() -> bool:
        orders = _tick(database)
        return "publish" in orders and orders["publish"].keys == (short,)

    diarizer = Meanwhile(is_dispatched)
    _speakers(database, [long, short], diarizer, token=order.token)
    assert diarizer.held
    assert set(statuses_of(database, batch_id).values()) == {"transcribed"}


def test_a_backfill_publishes_a_shard_before_the_dispatcher(database: Database, tmp_path: Path) -> None:
    _, (long, short) = _long_and_short(database, tmp_path / "in")

    def is_free() -> bool:
        assert "publish" not in _tick(database)
        with claim_shards(database, [short], stage="publish", last_step=False) as claims:
            return not claims.refused

    diarizer = Meanwhile(is_free)
    _speakers(database, [long, short], diarizer, token=None)
    assert diarizer.held


def test_a_run_over_both_stages_keeps_its_shards(database: Database, tmp_path: Path) -> None:
    _, (long, short) = _long_and_short(database, tmp_path / "in")
    seen: list[dict[str, str]] = []

    def is_refused() -> bool:
        with database.begin() as connection:
            done = connection.scalar(
                text("SELECT count(*) FROM stt_audio_files WHERE status = 'transcribed'")
            )
        with claim_shards(database, [short], stage="publish") as claims:
            seen.append(claims.refused)
        return done == 1 and len(seen) > 9

    diarizer = Meanwhile(is_refused)
    _speakers(database, [long, short], diarizer, token=None, runs_next_stage=True)
    assert diarizer.held
    assert all("being worked by run" in refused[short] for refused in seen)


def test_a_shard_whose_file_is_tried_again_waits_for_the_end_of_the_run(
    database: Database, tmp_path: Path
) -> None:
    batch_id, keys = _long_and_short(database, tmp_path / "in")

    class Broken(Meanwhile):
        def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
            turns = super().diarize(sound, speaker_count)
            if len(all_samples(sound)) < 16_000:
                raise DownloadError("the connection broke")
            return turns

    def has_failed() -> bool:
        with database.begin() as connection:
            failed = connection.scalar(text("SELECT count(*) FROM stt_audio_files WHERE attempts > 0"))
            free = connection.scalar(text("SELECT count(*) FROM stt_shards WHERE token IS NULL"))
        assert not free
        return bool(failed)

    order = _tick(database)["transcribe"]
    diarizer = Broken(has_failed)
    _speakers(database, keys, diarizer, token=order.token)
    assert diarizer.held
    with database.begin() as connection:
        assert not connection.scalar(text("SELECT count(*) FROM stt_shards WHERE token IS NOT NULL"))
    assert statuses_of(database, batch_id) == {"0.wav": "transcribed", "1.wav": "pending download"}


def test_an_error_of_the_run_repeats_only_shards_that_it_still_has(
    database: Database, tmp_path: Path
) -> None:
    batch_id, keys = _long_and_short(database, tmp_path / "in")
    order = _tick(database)["transcribe"]

    def is_released() -> bool:
        with database.begin() as connection:
            return connection.scalar(text("SELECT count(*) FROM stt_shards WHERE token IS NULL")) == 1

    class Killed(Meanwhile):
        def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
            super().diarize(sound, speaker_count)
            if self.held:
                raise KeyboardInterrupt
            return ()

    with pytest.raises(KeyboardInterrupt):
        _speakers(database, keys, Killed(is_released), token=order.token)
    with database.begin() as connection:
        stages = connection.execute(text("SELECT stage FROM stt_shards ORDER BY number")).scalars().all()
    assert stages == ["transcribe", "publish"]
    assert "ended early" in (progress(database, batch_id).error or "")


class _Recorder(StepListener):
    def __init__(self) -> None:
        self.written: list[list[str]] = []

    def shards_finished(self, shards: Sequence[ClaimedShard]) -> None:
        self.written.append([str(shard) for shard in shards])


@pytest.mark.parametrize(
    ("at_once", "released"),
    [
        (False, [(61.0, ["a", "b", "c"], 0.0)]),
        (True, [(2.0, ["a"], 58.0), (50.0, ["b"], 10.0), (61.0, ["c"], 0.0)]),
    ],
)
def test_events_come_after_a_second_and_releases_in_rounds(
    monkeypatch: pytest.MonkeyPatch, at_once: bool, released: list[tuple[float, list[str], float]]
) -> None:
    monkeypatch.setattr(finished_shards, "EVENTS_SECONDS", EVENTS_SECONDS)
    monkeypatch.setattr(finished_shards, "RELEASE_SECONDS", RELEASE_SECONDS)
    now, events, found = [0.0], _Recorder(), []
    finished = FinishedShards(
        events,
        lambda shards, left: found.append((now[0], [str(shard) for shard in shards], left)),
        at_once=at_once,
        clock=lambda: now[0],
    )
    for seconds, name in ((2.0, "a"), (50.0, "b"), (50.5, "c")):
        now[0] = seconds
        finished.add(name)  # type: ignore[arg-type]  # nothing here reads a shard
    for seconds in (51.0, 61.0, 62.5):
        now[0] = seconds
        finished.flush_if_due()
    assert events.written == [["a"], ["b"], ["c"]]
    assert found == released
