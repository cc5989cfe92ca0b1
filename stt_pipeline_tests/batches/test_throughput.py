"""The throughput of a batch counts each file once, whatever happens to it: retries, crashes, repeated writes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests.retry import retry
from stt_pipeline.errors import UnreadableError
from stt_pipeline.mail.notifier import MailNotifier
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.queue import batch_stats
from stt_pipeline_tests.batches.recordings import MAX_BYTES, CountingTranscriber, scanned, write_tone
from stt_pipeline_tests.batches.stage_runs import publish, transcribe
from stt_pipeline_tests.rows import Rows

FILES = 5


def counted(database: Database, batch_id: int) -> list[tuple[int, float]]:
    """Return files and seconds of each minute, after a check that they agree with the progress of the batch."""
    with database.begin() as connection:
        found = batch_stats.throughput_of(connection, batch_id)
    figures = progress(database, batch_id)
    assert sum(ended for _, ended, _ in found) == figures.completed + figures.failed
    assert sum(seconds for _, _, seconds in found) == pytest.approx(figures.audio_hours_done * 3600)
    return [(ended, round(seconds, 1)) for _, ended, seconds in found]


@pytest.mark.parametrize("files_per_shard", [1, FILES])
def test_a_file_counts_in_the_minute_of_its_last_end(
    database: Database, tmp_path: Path, files_per_shard: int
) -> None:
    for number in range(FILES):
        write_tone(tmp_path / "in" / f"{number}.wav", 1.0)
    batch, _, keys = scanned(database, tmp_path / "in", files_per_shard=files_per_shard)
    notifier = MailNotifier("", tmp_path / "outbox", "stt@example.com")
    transcribe(database, keys, CountingTranscriber([UnreadableError("broken")]))
    assert counted(database, batch.id) == [(1, 0.0)]
    publish(database, keys, notifier)
    assert sum(ended for ended, _ in counted(database, batch.id)) == FILES

    # an hour later the failed file is retried
    earlier = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    Rows(database).delete(tables.throughput)
    Rows(database).change(tables.audio_files, ended_at=earlier)
    with database.begin() as connection:
        batch_stats.add_throughput(connection, batch.id, files=FILES, audio_seconds=FILES - 1.0)
    Rows(database).change(tables.throughput, minute=earlier)
    assert retry(database, batch.id, max_file_bytes=MAX_BYTES) == 1
    assert counted(database, batch.id) == [(FILES - 1, FILES - 1.0)]
    transcribe(database, keys, CountingTranscriber())
    publish(database, keys, notifier)
    assert counted(database, batch.id) == [(FILES - 1, FILES - 1.0), (1, 1.0)]

    # all files are processed again
    transcribe(database, keys, CountingTranscriber(), reprocess=True)
    assert counted(database, batch.id) == []
    publish(database, keys, notifier)
    assert sum(ended for ended, _ in counted(database, batch.id)) == FILES


def test_a_write_that_is_repeated_after_a_lost_connection_counts_once(
    database: Database, tmp_path: Path
) -> None:
    write_tone(tmp_path / "in" / "a.wav", 1.0)
    batch, _, _ = scanned(database, tmp_path / "in")
    with database.begin() as connection:
        (file,) = files.of_batch(connection, batch.id)
    for expected in (1, 0):
        with database.begin() as connection:
            assert files.succeed(connection, batch.id, [file.id])[0] == expected
    for _ in range(2):
        with database.begin() as connection:
            files.record_failure(connection, file.id, error_class="internal", error="", retry_below=0)
    with database.begin() as connection:
        assert [ended for _, ended, _ in batch_stats.throughput_of(connection, batch.id)] == [1]


def test_files_of_a_crashing_shard_count_once(database: Database, tmp_path: Path) -> None:
    for number in range(FILES):
        write_tone(tmp_path / "in" / f"{number}.wav", 1.0)
    batch, _, keys = scanned(database, tmp_path / "in", files_per_shard=FILES)
    with database.begin() as connection:
        shard_id = next(files.of_batch(connection, batch.id)).shard_id
        for _ in range(2):
            files.fail_open(connection, shard_id, "crashed", only=None)
    with database.begin() as connection:
        assert [ended for _, ended, _ in batch_stats.throughput_of(connection, batch.id)] == [FILES]
    assert keys
