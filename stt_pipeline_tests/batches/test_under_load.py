"""Progress while 400 files are in flight in eight runs, with failures of many kinds and a run that is killed."""

import itertools
import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from stt_pipeline.audio.sound import Sound
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.queries.progress import Progress, progress
from stt_pipeline.batches.requests.backend_choice import FixedBackend
from stt_pipeline.batches.stages.publish import notify, write_minutes
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.errors import ModelError, OutOfMemoryError, SummaryError
from stt_pipeline.mail.notifier import MailNotifier
from stt_pipeline.minutes.model import Minutes
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import leases, shards
from stt_pipeline.store.tables import shards as shards_table
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker, scanned, write_tone
from stt_pipeline_tests.rows import Rows

FILES, FILES_PER_SHARD, RUNS = 400, 10, 8


class _KilledError(BaseException):
    """A process that is killed while it processes a file."""


class _Unreliable(CountingTranscriber):
    """Fails every second time, each time in another way; a recording that ran out of memory succeeds with a smaller batch."""

    def __init__(self) -> None:
        super().__init__()
        self._ways = itertools.cycle(
            [OutOfMemoryError("no memory"), ModelError("odd"), ValueError("unexpected"), MemoryError()]
        )

    def hear(self, recording: Recording, sound: Sound) -> Transcript:
        transcript = super().hear(recording, sound)
        if self.calls % 2 == 0 and not recording.halvings:
            raise next(self._ways)
        return transcript


class _Crashing(_Unreliable):
    """Crashes its process in the middle of the run."""

    def hear(self, recording: Recording, sound: Sound) -> Transcript:
        if self.calls == FILES // RUNS // 4:
            raise _KilledError
        return super().hear(recording, sound)


class _Writer:
    """Fails every tenth time."""

    name = "writer"
    concurrency = 1
    calls = 0

    def summarize(self, transcript: Transcript) -> Minutes:
        self.calls += 1
        if self.calls % 10 == 0:
            raise SummaryError("no answer")
        return Minutes("title", "summary")


@contextmanager
def _watched(database: Database, batch_id: int) -> Iterator[list[Progress]]:
    """Read the progress of a batch again and again, and yield the growing list of answers."""
    answers: list[Progress] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            answers.append(progress(database, batch_id))
            time.sleep(0.005)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield answers
    finally:
        ended.set()
        thread.join()


def _recordings(folder: Path) -> Path:
    """Make a folder of files, every other one of which is text."""
    good = write_tone(folder / "0000.wav", 0.05)
    for number in range(1, FILES):
        path = folder / f"{number:04d}.wav"
        if number % 2:
            path.write_text("this is text")
        else:
            os.link(good, path)
    return folder


def _at_once(
    database: Database, stage: str, keys: Sequence[str], work_on: Callable[[int, ShardClaims], None]
) -> None:
    """Dispatch shards to eight runs that work at the same time, each in a thread, all with their shards claimed."""
    parts = [keys[number::RUNS] for number in range(RUNS)]
    all_claimed = threading.Barrier(len(parts))

    def run(number: int) -> None:
        with database.begin() as connection:
            found = [shard.id for shard, _ in shards.lock(connection, parts[number])]
            token = leases.dispatch(connection, shards_table, found)
        claim = ClaimRequest(parts[number], stage, str(uuid.uuid4()), token=token)  # type: ignore[arg-type]
        work = ShardClaims(database, claim, lease_seconds=60, max_attempts=2)
        work.__enter__()
        all_claimed.wait(timeout=60)
        try:
            work_on(number, work)
        except _KilledError:
            # heartbeats stop, and the shards are not released
            work.heartbeat.stop()
        else:
            work.__exit__(None, None, None)

    with ThreadPoolExecutor(RUNS) as pool:
        list(pool.map(run, range(RUNS)))


def _waiting(database: Database, stage: str) -> list[str]:
    """Return the shards that wait for a stage, those of a dead run included, as a later tick would find them."""
    Rows(database).expire_leases(shards_table)
    with database.begin() as connection:
        leases.release_expired(connection, shards_table, leases.expired_runs(connection, shards_table))
        return list(
            connection.scalars(
                text("SELECT key FROM stt_shards WHERE stage = :stage ORDER BY key"), {"stage": stage}
            )
        )


@pytest.mark.slow
def test_progress_is_right_at_every_moment(database: Database, tmp_path: Path) -> None:
    batch, _, keys = scanned(database, _recordings(tmp_path / "in"), files_per_shard=FILES_PER_SHARD)
    for number in range(2, FILES, 20):
        (tmp_path / "in" / f"{number:04d}.wav").unlink()
    transcribers = [_Crashing(), *(_Unreliable() for _ in range(RUNS - 1))]
    writers = [_Writer() for _ in range(RUNS)]
    in_flight = []

    def transcribe(number: int, work: ShardClaims) -> None:
        with database.begin() as connection:
            in_flight.append(shards.in_flight(connection)[batch.id])
        probe_files(work)
        transcribe_files(work, FixedBackend(transcribers[number]))
        find_speakers(work, lambda options: OneSpeaker())

    def publish(number: int, work: ShardClaims) -> None:
        write_minutes(work, lambda options: writers[number])
        notify(work, lambda recipient: MailNotifier("", tmp_path / "outbox", "stt@example.com"))

    with _watched(database, batch.id) as answers:
        _at_once(database, "transcribe", keys, transcribe)
        assert in_flight[0] == (FILES // FILES_PER_SHARD, RUNS)
        killed = _waiting(database, "transcribe")
        assert set(keys[::RUNS]) <= set(killed)
        transcribers[0] = _Unreliable()
        while left := _waiting(database, "transcribe"):
            _at_once(database, "transcribe", left, transcribe)
        while left := _waiting(database, "publish"):
            _at_once(database, "publish", left, publish)
        answers.append(progress(database, batch.id))

    for answer in answers:
        assert answer.completed + answer.failed + answer.pending == answer.total_files == FILES
        assert min(answer.completed, answer.failed, answer.pending) >= 0
        assert sum(answer.failures_by_class.values()) == answer.failed
    for earlier, later in itertools.pairwise(answers):
        assert earlier.completed <= later.completed
        assert earlier.failed <= later.failed
    # progress was read while it changed
    assert len({(answer.completed, answer.failed) for answer in answers}) > 50

    last = answers[-1]
    assert (last.pending, last.progress_percentage) == (0, 100.0)
    classes = {"unreadable", "download", "model", "internal", "llm"}
    assert classes <= set(last.failures_by_class) <= classes | {"out_of_memory"}
    with database.begin() as connection:
        ended = connection.execute(
            text("SELECT coalesce(error_class, status) FROM stt_audio_files")
        ).scalars()
        assert Counter(ended) == {"success": last.completed, **last.failures_by_class}
