"""Queries for the review of a batch: its transcripts of the lowest quality. They do not read the text."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, literal_column, select

from stt_pipeline.speech.quality import Figures
from stt_pipeline.store.tables import transcriptions

# not a parameter: a generic plan cannot use a partial index on one value
_OUTDATED: ColumnElement[str] = literal_column("'outdated'")


@dataclass(frozen=True, slots=True)
class FileQuality:
    """The quality of one transcript, without its text; ``duration`` is in seconds."""

    transcription_id: int
    audio_file_id: int
    uri: str
    duration: float
    language: str
    figures: Figures


def worst(connection: Connection, batch_id: int, limit: int) -> list[FileQuality]:
    """Return the transcripts of the lowest quality of a batch, the worst first; those without speech have no quality."""
    its = transcriptions.c
    rows = connection.execute(
        select(
            its.id,
            its.audio_file_id,
            its.audio_file_path,
            its.duration,
            its.language,
            its.quality,
            its.speech_seconds,
            its.untranscribed_speech_seconds,
            its.suspect_segments,
        )
        # the condition of the partial index, whose first rows are the worst of a batch
        .where(its.batch_id == batch_id, its.quality.is_not(None), its.status != _OUTDATED)
        .order_by(its.quality, its.id)
        .limit(limit)
    )
    return [
        FileQuality(
            row.id,
            row.audio_file_id,
            row.audio_file_path,
            row.duration,
            row.language,
            Figures(row.quality, row.speech_seconds, row.untranscribed_speech_seconds, row.suspect_segments),
        )
        for row in rows
    ]
