"""The loop over files with several threads: of one shard or of several, and never in a careful run."""

import threading
import uuid
from pathlib import Path

import pytest
from sqlalchemy import text

from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.stages.publish import write_minutes
from stt_pipeline.minutes.model import Minutes
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import CountingTranscriber, scanned, write_tone
from stt_pipeline_tests.batches.stage_runs import transcribe
from stt_pipeline_tests.rows import Rows

FILES = 3


class Meeting:
    """A summarizer that returns only when all its calls have met, or that notes how many calls run at a time."""

    name = "meeting"

    def __init__(self, concurrency: int, meet: int) -> None:
        self.concurrency = concurrency
        self.barrier = threading.Barrier(meet)
        self.running = 0
        self.most = 0
        self.lock = threading.Lock()

    def summarize(self, transcript: Transcript) -> Minutes:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.barrier.wait(timeout=60)
        with self.lock:
            self.running -= 1
        return Minutes("title", "summary")


def summarized(database: Database, keys: list[str], summarizer: Meeting) -> ShardClaims:
    request = ClaimRequest(keys, "publish", str(uuid.uuid4()), first_step=False)
    with ShardClaims(database, request, lease_seconds=60, max_attempts=2) as claims:
        write_minutes(claims, lambda options: summarizer)
    return claims


@pytest.mark.slow
@pytest.mark.parametrize("files_per_shard", [1, FILES])
def test_a_summarizer_gets_as_many_files_at_a_time_as_it_takes(
    database: Database, tmp_path: Path, files_per_shard: int
) -> None:
    for number in range(FILES):
        write_tone(tmp_path / "in" / f"{number}.wav", 0.1)
    _, _, keys = scanned(database, tmp_path / "in", files_per_shard=files_per_shard)
    transcribe(database, keys, CountingTranscriber())
    claims = summarized(database, keys, Meeting(concurrency=FILES, meet=FILES))
    assert sum(shard.done for shard in claims.shards) == FILES
    assert not any(shard.failures for shard in claims.shards)


def test_a_careful_run_processes_one_file_at_a_time(database: Database, tmp_path: Path) -> None:
    for number in range(FILES):
        write_tone(tmp_path / "in" / f"{number}.wav", 0.1)
    _, _, keys = scanned(database, tmp_path / "in", files_per_shard=FILES)
    transcribe(database, keys, CountingTranscriber())
    Rows(database).change(tables.shards, crashes=1)
    summarizer = Meeting(concurrency=FILES, meet=1)
    assert summarized(database, keys, summarizer).is_careful
    assert summarizer.most == 1


@pytest.mark.parametrize("files_per_shard", [1, FILES])
def test_a_file_that_fails_in_a_thread_fails_alone(
    database: Database, tmp_path: Path, files_per_shard: int
) -> None:
    for number in range(FILES):
        write_tone(tmp_path / "in" / f"{number}.wav", 0.1)
    _, _, keys = scanned(database, tmp_path / "in", files_per_shard=files_per_shard)
    transcribe(database, keys, CountingTranscriber())

    class Failing(Meeting):
        calls = 0

        def summarize(self, transcript: Transcript) -> Minutes:
            with self.lock:
                self.calls += 1
                is_second = self.calls == 2
            minutes = super().summarize(transcript)
            if is_second:
                raise ValueError("no minutes")
            return minutes

    claims = summarized(database, keys, Failing(concurrency=FILES, meet=FILES))
    assert sum(shard.done for shard in claims.shards) == FILES - 1
    (failure,) = [failure for shard in claims.shards for failure in shard.failures]
    assert (failure.error_class, failure.error) == ("internal", "ValueError: no minutes")
    with database.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM stt_summaries")) == FILES - 1
