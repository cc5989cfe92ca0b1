"""Files of several shards in the transcriber at once: results go to their shards, and a file that crashes runs is found."""

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from stt_pipeline.audio.sound import Sound
from stt_pipeline.batches.execution import dispatch, file_loop
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.errors import ConfigurationError, UnreadableError
from stt_pipeline.speech.recordings import Outcome, Progress, Recording
from stt_pipeline.speech.transcript import TimeSpan, Transcript
from stt_pipeline.speech.whisperx_extra import is_installed
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.queue import batch_stats
from stt_pipeline.store.results import transcriptions
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker, scanned, write_tone
from stt_pipeline_tests.rows import Rows


class SideBySide(CountingTranscriber):
    """Takes several recordings at once and returns them in reverse order.

    Attributes:
        together: the recordings taken at each time.
        before: called with these recordings, before they are decoded.
    """

    def __init__(self, at_once: int = 4, before: Callable[[list[Recording]], object] = len) -> None:
        super().__init__()
        self.at_once = at_once
        self.before = before
        self.together: list[list[Recording]] = []

    def transcribe(
        self, recordings: Iterable[Recording], *, progress: Progress | None = None
    ) -> Iterator[Outcome]:
        coming = iter(recordings)
        while taken := list(itertools.islice(coming, self.at_once)):
            self.together.append(taken)
            self.before(taken)
            for outcome in reversed(list(super().transcribe(taken))):
                yield Outcome(outcome.recording, outcome.result, seconds=1.0)


def _folder(folder: Path, count: int) -> Path:
    for number in range(count):
        write_tone(folder / f"{number}.wav", 0.1 * (number + 1))
    return folder


def _work(database: Database, keys: list[str], *, max_attempts: int = 3, **how: object) -> ShardClaims:
    claim = ClaimRequest(keys=keys, **{"stage": "transcribe", "run_id": str(uuid.uuid4()), **how})  # type: ignore[arg-type]
    return ShardClaims(database, claim, lease_seconds=60, max_attempts=max_attempts)


def _read(database: Database, query: str) -> list[tuple[object, ...]]:
    with database.begin() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def _transcribed(database: Database) -> list[tuple[object, ...]]:
    return _read(database, "SELECT audio_file_path, duration FROM stt_transcriptions ORDER BY 1")


def test_files_of_several_shards_are_transcribed_together(database: Database, tmp_path: Path) -> None:
    _, _, keys = scanned(database, _folder(tmp_path / "in", 5), files_per_shard=2)
    transcriber = SideBySide()
    with _work(database, keys) as work:
        probe_files(work)
        transcribe_files(work, lambda options: transcriber)
        assert [len(taken) for taken in transcriber.together] == [4, 1]
        # the seconds of work are shared out, and no moment is counted for two shards
        assert [(shard.done, shard.busy_seconds) for shard in work.shards[:2]] == [(4, 2.0), (4, 2.0)]
        assert work.shards[2].busy_seconds == 1.0
        find_speakers(work, lambda options: OneSpeaker())
    assert [round(float(str(length)), 1) for _, length in _transcribed(database)] == [
        *(0.1, 0.2, 0.3, 0.4, 0.5)
    ]


def test_the_places_of_missing_speech_are_stored(database: Database, tmp_path: Path) -> None:
    class Missing(CountingTranscriber):
        def hear(self, recording: Recording, sound: Sound) -> Transcript:
            parts = (TimeSpan(0.2, 1.5), TimeSpan(3.0, 4.25))
            return replace(super().hear(recording, sound), untranscribed_parts=parts)

    batch, _, keys = scanned(database, _folder(tmp_path / "in", 1))
    with _work(database, keys) as work:
        probe_files(work)
        transcribe_files(work, lambda options: Missing())
        find_speakers(work, lambda options: OneSpeaker())
    with database.begin() as connection:
        (file,) = files.of_batch(connection, batch.id)
        stored = transcriptions.of_file(connection, file)
    assert stored
    assert stored.status == "completed"
    assert stored.transcript.untranscribed_parts == (TimeSpan(0.2, 1.5), TimeSpan(3.0, 4.25))


def test_a_file_that_fails_among_others_fails_alone(database: Database, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in", 4)
    batch, _, keys = scanned(database, folder, files_per_shard=2)

    class _Refusing(SideBySide):
        def hear(self, recording: Recording, sound: Sound) -> Transcript:
            if recording.key == bad:
                raise UnreadableError("broken in the middle")
            return super().hear(recording, sound)

    with database.begin() as connection:
        bad = next(files.of_batch(connection, batch.id)).id
    with _work(database, keys) as work:
        probe_files(work)
        # a file that is deleted after the probe fails at the download
        (folder / "3.wav").unlink()
        transcribe_files(work, lambda options: _Refusing())
        failures = [failure for shard in work.shards for failure in shard.failures]
    assert sorted((failure.name, failure.error_class) for failure in failures) == [
        ("0.wav", "unreadable"),
        ("3.wav", "download"),
    ]
    assert len(_transcribed(database)) == 2


def test_late_results_of_a_lost_shard_are_dropped(database: Database, tmp_path: Path) -> None:
    _, _, keys = scanned(database, _folder(tmp_path / "in", 6), files_per_shard=3)

    def lose(taken: list[Recording]) -> None:
        lost = tables.shards.c.key == keys[0]
        Rows(database).change(tables.shards, lost, run_id="other", token=str(uuid.uuid4()))

    transcriber = SideBySide(2, lose)
    with _work(database, keys) as work:
        probe_files(work)
        transcribe_files(work, lambda options: transcriber)
        assert [shard.key for shard in work.shards] == keys[1:]
        assert "lost its lease" in work.refused[keys[0]]
    assert [str(path)[-5:] for path, _ in _transcribed(database)] == ["3.wav", "4.wav", "5.wav"]


def test_a_pause_releases_shards_that_are_not_begun(database: Database, tmp_path: Path) -> None:
    batch, _, keys = scanned(database, _folder(tmp_path / "in", 5))
    (order,) = dispatch.tick(database, max_shards_in_flight=99, max_active_batches=9, max_attempts=3)
    transcriber = SideBySide(2, lambda taken: lifecycle.pause(database, batch.id))
    with _work(database, keys, token=order.token, last_step=False) as work:
        probe_files(work)
        transcribe_files(work, lambda options: transcriber)
        assert [shard.key for shard in work.shards] == keys[:2]
    assert len(_transcribed(database)) == 2


def test_recordings_go_to_the_model_of_their_batch(database: Database, tmp_path: Path) -> None:
    small = scanned(database, _folder(tmp_path / "a", 2), options={"model": "small"})[2]
    other = scanned(database, _folder(tmp_path / "b", 1))[2]
    done = scanned(database, _folder(tmp_path / "c", 1), options={"model": "never"})[2]
    Rows(database).fail(tables.audio_files.c.batch_id == 3, error_class="model")
    transcribers = {"small": SideBySide(), "": SideBySide()}

    def transcriber_for(options: BatchOptions) -> SideBySide:
        return transcribers[options.model]

    with _work(database, [small[0], *other, *done, small[1]], first_step=False) as work:
        probe_files(work)
        transcribe_files(work, transcriber_for)
    assert [[len(taken) for taken in its.together] for its in transcribers.values()] == [[2], [1]]


def _wait_for_transcripts(database: Database) -> int:
    end = time.monotonic() + 60
    while not (count := len(_transcribed(database))) and time.monotonic() < end:
        time.sleep(0.05)
    return count


def test_rows_are_written_in_the_callers_thread(database: Database, tmp_path: Path) -> None:
    _, _, keys = scanned(database, _folder(tmp_path / "in", 2), files_per_shard=2)
    threads: list[threading.Thread] = []

    class _Observed(CountingTranscriber):
        def hear(self, recording: Recording, sound: Sound) -> Transcript:
            threads.append(threading.current_thread())
            return super().hear(recording, sound)

    with _work(database, keys) as work:
        probe_files(work)

        def key(options: BatchOptions) -> str:
            threads.append(threading.current_thread())
            return options.model

        transcribe_files(work, lambda options: _Observed(), key=key)
    assert threads[0] is threading.current_thread()
    assert {thread.name for thread in threads[1:]} == {"transcriber"}


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["while it works", "as it requests more"])
def test_results_are_written_while_a_long_recording_is_decoded(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    _, _, keys = scanned(database, _folder(tmp_path / "in", 4), files_per_shard=4)
    monkeypatch.setattr(file_loop, "WRITE_SECONDS", 0.2)
    written: list[int] = []

    class _Long(CountingTranscriber):
        def transcribe(
            self, recordings: Iterable[Recording], *, progress: Progress | None = None
        ) -> Iterator[Outcome]:
            coming = iter(recordings)
            yield from super().transcribe([next(coming), next(coming)])
            long = next(coming)
            if moment == "while it works":
                written.append(_wait_for_transcripts(database))
            else:
                time.sleep(0.3)
            last = next(coming)
            if moment == "as it requests more":
                written.append(_wait_for_transcripts(database))
            yield from super().transcribe([long, last])

    with _work(database, keys) as work:
        probe_files(work)
        transcribe_files(work, lambda options: _Long())
        assert [shard.done for shard in work.shards] == [4 + 4]  # probed, transcribed
    assert (written, len(_transcribed(database))) == ([2], 4)


class _KilledError(BaseException):
    """A process that is killed while it has recordings in the transcriber."""


@pytest.mark.slow
def test_a_file_of_many_shards_that_crashes_its_run_fails_alone(database: Database, tmp_path: Path) -> None:
    batch, _, keys = scanned(database, _folder(tmp_path / "in", 6), files_per_shard=2)

    class _Crashing(SideBySide):
        def hear(self, recording: Recording, sound: Sound) -> Transcript:
            if recording.key == crashing:
                raise _KilledError
            return super().hear(recording, sound)

    with database.begin() as connection:
        crashing = [file.id for file in files.of_batch(connection, batch.id)][2]
    transcriber = _Crashing()
    for crashes in range(3):
        (order,) = dispatch.tick(database, max_shards_in_flight=99, max_active_batches=9, max_attempts=3)
        assert len(order.keys) == 3
        work = _work(database, keys, token=order.token)
        work.__enter__()
        # if the next crash is the last one, there is one active file
        assert work.is_careful == (crashes == 2)
        probe_files(work)
        with pytest.raises(_KilledError):
            transcribe_files(work, lambda options: transcriber)
        work.heartbeat.stop()
        Rows(database).expire_leases(tables.shards)
    (order,) = dispatch.tick(database, max_shards_in_flight=99, max_active_batches=9, max_attempts=3)
    assert [crashes for (crashes,) in _read(database, "SELECT crashes FROM stt_shards ORDER BY number")] == [
        *(2, 0, 2)
    ]
    with _work(database, keys, token=order.token) as work:
        probe_files(work)
        transcribe_files(work, lambda options: transcriber)
        find_speakers(work, lambda options: OneSpeaker())
    figures = progress(database, batch.id)
    assert (figures.failures_by_class, len(_transcribed(database))) == ({"internal": 1}, 5)


def test_alignment_that_is_not_installed_fails_no_file(database: Database, tmp_path: Path) -> None:
    if is_installed():
        pytest.skip("the whisperx extra is installed, and its models are not for this test")
    batch, _, keys = scanned(database, _folder(tmp_path / "in", 1), options={"align": True})
    with pytest.raises(ConfigurationError, match="whisperx"), _work(database, keys) as work:
        probe_files(work)
        transcribe_files(work, lambda options: CountingTranscriber())
        find_speakers(work, lambda options: OneSpeaker())
    assert progress(database, batch.id).failures_by_class == {}
    assert len(_transcribed(database)) == 1


def test_progress_counts_transcripts_and_estimates_the_end_from_the_first_ones(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_loop, "WRITE_SECONDS", 0.0)
    batch, _, keys = scanned(database, _folder(tmp_path / "in", 6), files_per_shard=3)
    seen = []
    transcriber = SideBySide(2, lambda taken: seen.append(progress(database, batch.id)))
    with _work(database, keys) as work:
        probe_files(work)
        transcribe_files(work, lambda options: transcriber)
        find_speakers(work, lambda options: OneSpeaker())
    assert [(figures.transcribed, figures.completed, figures.pending) for figures in seen] == [
        *((0, 0, 6), (2, 0, 6), (4, 0, 6))
    ]
    assert seen[0].estimated_completion is None
    assert seen[1].estimated_completion is not None
    assert seen[1].transcribed_per_minute and seen[1].files_per_minute is None
    # no shard has ended: work on files that are not done would make the average of the done ones too large
    Rows(database).fail(tables.audio_files.c.uri.like("%1.wav"), error_class="llm")
    assert (progress(database, batch.id).failed, progress(database, batch.id).avg_processing_time) == (
        1,
        None,
    )
    # a recount agrees, also for files that have speakers or failed
    Rows(database).fail(tables.audio_files.c.uri.like("%0.wav"), error_class="llm")
    assert (progress(database, batch.id).transcribed, progress(database, batch.id).failed) == (4, 2)
    with _work(database, keys, reprocess=True):
        assert progress(database, batch.id).transcribed == 0


def test_the_time_of_the_transcribe_stage_is_that_of_its_runs(database: Database, tmp_path: Path) -> None:
    batch, _, keys = scanned(database, _folder(tmp_path / "in", 4))
    began = time.monotonic()
    with _work(database, keys) as work:
        probe_files(work)
        # its threads report one second of work a recording, whatever the time
        transcribe_files(work, lambda options: SideBySide())
        find_speakers(work, lambda options: OneSpeaker())
    taken = time.monotonic() - began
    with database.begin() as connection:
        sums = batch_stats.sums(connection, batch.id)
    assert 0 < sums.transcribe_seconds <= taken
    assert sums.busy_seconds >= 4.0
