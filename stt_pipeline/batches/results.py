"""What is stored for a shard, as rows for Parquet and as the first few results for people."""

from typing import Any

from stt_pipeline.audio.uris import display_name
from stt_pipeline.minutes.model import minutes_to_json
from stt_pipeline.speech.transcript import segments_to_json, turns_to_json
from stt_pipeline.store import files, summaries, transcriptions
from stt_pipeline.store.database import Database
from stt_pipeline.store.summaries import Summary
from stt_pipeline.store.transcriptions import Transcription

Rows = list[dict[str, Any]]


def transcript_rows(database: Database, shard_id: int) -> Rows:
    """Return a row of the ``transcripts`` dataset for each file of the shard that has a transcript with speakers."""
    with database.begin() as connection:
        found = transcriptions.of_shard(connection, shard_id)
    return [
        {
            "batch_id": stored.batch_id,
            "audio_file_id": file_id,
            "uri": stored.audio_file_path,
            "duration": stored.transcript.duration,
            "language": stored.transcript.language,
            "language_probability": stored.transcript.language_probability,
            "model": stored.transcript.model,
            "notes": list(stored.transcript.notes),
            "text": stored.transcript.text,
            "segments": segments_to_json(stored.transcript.segments),
            "speaker_turns": turns_to_json(stored.turns),
        }
        for file_id, stored in found.items()
        if stored.status == "completed"
    ]


def minutes_rows(database: Database, shard_id: int) -> Rows:
    """Return a row of the ``minutes`` dataset for each file of the shard that has minutes."""
    with database.begin() as connection:
        manifest = {file.id: file for file in files.of_shard(connection, shard_id)}
        found = summaries.of_shard(connection, shard_id)
    return [
        {
            "batch_id": manifest[file_id].batch_id,
            "audio_file_id": file_id,
            "uri": manifest[file_id].uri,
            **minutes_to_json(summary.minutes),
        }
        for file_id, summary in found.items()
    ]


def first_transcriptions(database: Database, shard_id: int, limit: int) -> list[tuple[str, Transcription]]:
    """Return (file name, transcription) of the first files of a shard that have a transcript."""
    with database.begin() as connection:
        found = transcriptions.of_shard(connection, shard_id, limit)
    return [(display_name(stored.audio_file_path), stored) for stored in found.values()]


def first_summaries(database: Database, shard_id: int, limit: int) -> list[tuple[str, Summary]]:
    """Return (file name, minutes) of the first files of a shard that have minutes."""
    with database.begin() as connection:
        names = {file.id: display_name(file.uri) for file in files.of_shard(connection, shard_id)}
        found = summaries.of_shard(connection, shard_id, limit)
    return [(names[file_id], summary) for file_id, summary in found.items()]
