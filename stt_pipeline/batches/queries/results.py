"""The results of a shard: as rows for Parquet, and the first few for previews."""

from typing import Any

from stt_pipeline.audio.address import display_name
from stt_pipeline.store.database import Database
from stt_pipeline.store.results import summaries, transcriptions
from stt_pipeline.store.results.summaries import Summary
from stt_pipeline.store.results.transcriptions import Transcription

Rows = list[dict[str, Any]]


def transcript_rows(database: Database, shard_id: int) -> Rows:
    """Return a row of the ``transcripts`` dataset for each file of the shard with a transcript and speakers."""
    with database.begin() as connection:
        return transcriptions.rows_of_shard(connection, shard_id)


def minutes_rows(database: Database, shard_id: int) -> Rows:
    """Return a row of the ``minutes`` dataset for each file of the shard with minutes."""
    with database.begin() as connection:
        return summaries.rows_of_shard(connection, shard_id)


def first_transcriptions(database: Database, shard_id: int, limit: int) -> list[tuple[str, Transcription]]:
    """Return (file name, transcription) of the first files of a shard with a transcript."""
    with database.begin() as connection:
        found = transcriptions.of_shard(connection, shard_id, limit)
    return [(display_name(stored.audio_file_path), stored) for stored in found]


def first_summaries(database: Database, shard_id: int, limit: int) -> list[tuple[str, Summary]]:
    """Return (file name, minutes) of the first files of a shard with minutes."""
    with database.begin() as connection:
        found = summaries.of_shard(connection, shard_id, limit)
    return [(display_name(uri), summary) for uri, summary in found]
