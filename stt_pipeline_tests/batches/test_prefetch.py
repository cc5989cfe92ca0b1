"""Prefetched files: their tasks hold no transaction, and are cancelled when their shard is lost."""

import time
import uuid
from pathlib import Path

import pytest
from sqlalchemy import text

from stt_pipeline.audio.opening import open_source
from stt_pipeline.audio.sound import Sound
from stt_pipeline.audio.sources import Source
from stt_pipeline.batches.execution import file_loop
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.requests.backend_choice import FixedBackend
from stt_pipeline.batches.stages import transcribe
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.speech.diarization import ANY_NUMBER, SpeakerCount
from stt_pipeline.speech.transcript import SpeakerTurn
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker, scanned, write_tone
from stt_pipeline_tests.rows import Rows


def _scanned(database: Database, folder: Path, count: int) -> list[str]:
    for number in range(count):
        write_tone(folder / f"{number}.wav", 0.05)
    return scanned(database, folder, files_per_shard=20)[2]


def _claim(keys: list[str]) -> ClaimRequest:
    return ClaimRequest(keys, "transcribe", str(uuid.uuid4()), first_step=False)


@pytest.mark.slow
def test_queued_tasks_of_a_lost_shard_do_not_start(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = _scanned(database, tmp_path / "in", 21)
    monkeypatch.setattr(transcribe, "usable_cores", lambda: 2)
    monkeypatch.setattr(file_loop, "WRITE_SECONDS", 0.3)
    begun: list[float] = []

    class _Slow(OneSpeaker):
        def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
            begun.append(time.monotonic())
            if len(begun) == 1:
                lost = tables.shards.c.number == 0
                Rows(database).change(tables.shards, lost, token=str(uuid.uuid4()))
            time.sleep(0.1)
            return super().diarize(sound)

    with ShardClaims(database, _claim(keys), lease_seconds=60, max_attempts=3) as work:
        probe_files(work)
        transcribe_files(work, FixedBackend(CountingTranscriber()))
        find_speakers(work, lambda options: _Slow())
        assert list(work.refused) == keys[:1]
    # the write of the first results finds that the lease is lost
    assert len(begun) < 16


@pytest.mark.slow
def test_a_source_is_opened_once_and_outside_of_transactions(database: Database, tmp_path: Path) -> None:
    keys = _scanned(database, tmp_path / "in", 10)
    seen: list[object] = []

    def opened(path: str, pattern: str) -> Source:
        time.sleep(0.1)  # a caller with an open transaction would wait here
        with database.begin() as connection:
            seen.append(
                connection.scalar(
                    text(
                        "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
                        " AND datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
            )
        return open_source(path, pattern)

    for step in (
        probe_files,
        lambda work: transcribe_files(work, FixedBackend(CountingTranscriber())),
        lambda work: find_speakers(work, lambda options: OneSpeaker()),
    ):
        with ShardClaims(
            database, _claim(keys), lease_seconds=60, max_attempts=3, open_source=opened
        ) as work:
            step(work)
    assert seen == [0, 0, 0]
