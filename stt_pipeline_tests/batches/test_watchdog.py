"""A call that hangs in a living process loses its shards, and work that makes progress keeps them."""

import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from stt_pipeline.audio.sound import Sound, all_samples
from stt_pipeline.batches.execution import watchdog
from stt_pipeline.batches.execution.dispatch import tick
from stt_pipeline.batches.execution.heartbeat import Heartbeat
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.execution.transcriber_thread import outcomes_of
from stt_pipeline.batches.execution.watchdog import (
    QUIET_PER_AUDIO_SECOND,
    QUIET_PER_BYTE,
    QUIET_SECONDS,
    Watchdog,
)
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.speech.diarization import ANY_NUMBER, SpeakerCount
from stt_pipeline.speech.recordings import Outcome, Recording
from stt_pipeline.speech.transcript import SpeakerTurn
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker, scanned, write_tone
from stt_pipeline_tests.batches.stage_runs import claim_shards, statuses_of
from stt_pipeline_tests.rows import Rows

LIMIT = 60.0  # seconds; it only ends a test that fails
HOUR = 3600.0


class _Watched:
    """A watchdog with a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.dog = Watchdog(lambda: self.now)

    def file(self, number: int, *, seconds: float | None = None, size: int = 0) -> Any:
        return SimpleNamespace(id=number, uri=f"file:///in/{number}.wav", duration=seconds, size=size)

    def begin(self, file: Any) -> None:
        self.dog.begin(SimpleNamespace(key=f"000001-{file.id:06}"), file)  # type: ignore[arg-type]

    def hangs_after(self, seconds: float) -> bool:
        self.now = seconds
        return self.dog.hang() is not None


def test_work_may_be_quiet_for_as_long_as_its_longest_recording_explains() -> None:
    watched = _Watched()
    assert not watched.hangs_after(QUIET_SECONDS)
    assert watched.hangs_after(QUIET_SECONDS + 1)
    watched.begin(watched.file(1, seconds=60.0))
    long = watched.file(2, seconds=10 * HOUR, size=1 << 30)
    watched.begin(long)
    most = QUIET_SECONDS + QUIET_PER_AUDIO_SECOND * 10 * HOUR + QUIET_PER_BYTE * (1 << 30)
    assert not watched.hangs_after(most)
    assert watched.hangs_after(most + 1)
    # the short one, too, may take no longer than it explains once the long one has ended
    watched.dog.end(long)
    assert not watched.hangs_after(most + 1 + QUIET_SECONDS)
    assert watched.hangs_after(most + 1 + QUIET_SECONDS + QUIET_PER_AUDIO_SECOND * 60.0 + 1)
    watched.dog.progress()
    assert watched.dog.hang() is None


def test_a_hang_names_the_recordings() -> None:
    watched = _Watched()
    for number in range(1, 6):
        watched.begin(watched.file(number))
    watched.now = 2 * HOUR
    assert watched.dog.hang() == (
        "There was no progress for 2 h 0 min in the work on 000001-000001 (1.wav), 000001-000002 (2.wav), "
        "000001-000003 (3.wav) and 2 more"
    )


def test_a_transcriber_reports_its_model_batches() -> None:
    reports: list[int] = []

    class Batches(CountingTranscriber):
        def transcribe(self, recordings: Any, *, progress: Any = None) -> Any:
            for recording in recordings:
                for second in range(3):
                    progress(recording, float(second))
                yield Outcome(recording, ValueError("nothing is decoded"))

    recordings = iter([Recording(1, lambda: None)])  # type: ignore[arg-type, return-value]
    outcomes = outcomes_of(
        Batches(),
        recordings,
        while_waiting=lambda: None,
        every_seconds=60,
        on_progress=lambda: reports.append(1),
    )
    next(outcomes, None)
    assert len(reports) == 3


class Hanging(OneSpeaker):
    """Hangs with recordings of over a second until the dispatcher has ended its run."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = database
        self.monkeypatch = monkeypatch
        self.ended: list[str] = []

    def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        if len(all_samples(sound)) > 16_000:
            self.monkeypatch.setattr(watchdog, "QUIET_SECONDS", 0.0)  # it has been quiet for too long
            end = time.monotonic() + LIMIT
            while not self.ended and time.monotonic() < end:
                time.sleep(0.1)
                tick(
                    self.database,
                    max_shards_in_flight=99,
                    max_active_batches=9,
                    max_attempts=3,
                    end_run=self.ended.append,
                )
        return super().diarize(sound, speaker_count)


def _find_speakers(database: Database, keys: list[str], diarizer: OneSpeaker) -> ShardClaims:
    """Run the last step with a lease that expires soon."""
    with claim_shards(database, keys, run_id="hanging", last_step=False) as claims:
        probe_files(claims)
        transcribe_files(claims, lambda options: CountingTranscriber())
    request = ClaimRequest(keys, "transcribe", "hanging", first_step=False, first_of_stage=False)
    with ShardClaims(database, request, lease_seconds=2, max_attempts=3) as claims:
        find_speakers(claims, lambda options: diarizer)
    return claims


@pytest.fixture
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "QUIET_PER_AUDIO_SECOND", 0.0)
    monkeypatch.setattr(watchdog, "QUIET_PER_BYTE", 0.0)
    monkeypatch.setattr("stt_pipeline.batches.execution.file_loop.WRITE_SECONDS", 0.1)


@pytest.mark.usefixtures("_quiet")
def test_a_call_that_hangs_loses_its_shard(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_tone(tmp_path / "in" / "0.wav", 1.5)
    batch, _, keys = scanned(database, tmp_path / "in")
    diarizer = Hanging(database, monkeypatch)
    claims = _find_speakers(database, keys, diarizer)
    assert diarizer.ended == ["hanging"]
    # the log says what hangs, and where
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert f"{keys[0]} (0.wav)" in record.getMessage()
    assert "in diarize" in record.getMessage()
    # the shard is dispatched again, one crash is counted, and the run that wakes up writes nothing
    assert "lost its lease" in claims.refused[keys[0]]
    assert statuses_of(database, batch.id) == {"0.wav": "pending"}
    with database.begin() as connection:
        row = connection.execute(text("SELECT crashes, run_id, token FROM stt_shards")).one()
    assert (row.crashes, row.run_id) == (1, None)
    assert row.token is not None


@pytest.mark.usefixtures("_quiet")
def test_a_file_that_hangs_each_time_fails_alone(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, seconds in enumerate((0.5, 1.5, 0.5)):
        write_tone(tmp_path / "in" / f"{number}.wav", seconds)
    batch, _, keys = scanned(database, tmp_path / "in", files_per_shard=3)
    Rows(database).change(tables.shards, crashes=2)
    claims = _find_speakers(database, keys, Hanging(database, monkeypatch))
    assert claims.is_careful
    assert statuses_of(database, batch.id) == {
        "0.wav": "transcribed",
        "1.wav": "failed internal",
        "2.wav": "pending",
    }


def test_work_that_goes_on_in_time_keeps_its_leases(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "0.wav", 0.1)
    _, _, keys = scanned(database, tmp_path / "in")
    hangs = threading.Event()

    def is_live() -> bool:
        with database.begin() as connection:
            return bool(connection.scalar(text("SELECT lease_until > now() FROM stt_shards")))

    def wait_for(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.1)

    request = ClaimRequest(keys, "transcribe", str(uuid.uuid4()))
    with ShardClaims(database, request, lease_seconds=1, max_attempts=3) as claims:
        claims.heartbeat.stop()
        leases = [shard.lease for shard in claims.shards]
        heartbeat = Heartbeat(
            database, tables.shards, lambda: leases, 1, hang=lambda: "it hangs" if hangs.is_set() else None
        )
        hangs.set()
        with heartbeat:
            wait_for(lambda: not is_live())
            hangs.clear()
            wait_for(is_live)
