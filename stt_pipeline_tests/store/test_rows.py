"""Rows that tests write with the builder are read by the queries of the store."""

from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.queue import batch_stats, batches, shards
from stt_pipeline.store.results import summaries, transcriptions
from stt_pipeline.store.tables import audio_files
from stt_pipeline_tests.rows import Rows


def test_rows_of_every_kind_belong_together(database: Database) -> None:
    rows = Rows(database)
    batch_id = rows.batch(name="weekly")
    first, second = (rows.shard(batch_id) for _ in range(2))
    file_id = rows.audio_file(first, status="success", duration=60.0)
    rows.audio_file(second)
    rows.fail(audio_files.c.shard_id == second, error_class="download")
    transcription_id = rows.transcription(file_id)
    rows.minutes(transcription_id, title="회의")
    with database.begin() as connection:
        assert batches.get(connection, batch_id).name == "weekly"
        sums = batch_stats.sums(connection, batch_id)
        assert (sums.total, sums.completed, sums.failed, sums.audio_seconds) == (2, 1, 1, 60.0)
        assert sums.failures_by_class == {"download": 1}
        assert [shard.id for shard in shards.ready(connection, batch_id, 10)] == [first, second]
        (file,) = files.of_shard(connection, first)
        stored = transcriptions.of_file(connection, file)
        assert stored is not None
        assert (stored.id, stored.audio_file_path) == (transcription_id, file.uri)
        summary = summaries.of_file(connection, file)
        assert summary is not None
        assert summary.minutes.title == "회의"
