"""Queries for the review of transcripts: the lowest quality of a batch, and all of a shard. They do not read the text."""

from dataclasses import dataclass, fields
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, literal_column, select

from stt_pipeline.speech.quality import Figures
from stt_pipeline.store.tables import audio_files, transcriptions

# not a parameter: a generic plan cannot use a partial index on one value
_OUTDATED: ColumnElement[str] = literal_column("'outdated'")


@dataclass(frozen=True, slots=True)
class FileQuality:
    """The quality and the languages of one transcript, without its text; ``duration`` is in seconds."""

    transcription_id: int
    audio_file_id: int
    uri: str
    duration: float
    figures: Figures


def worst(connection: Connection, batch_id: int, limit: int) -> list[FileQuality]:
    """Return the transcripts of the lowest quality of a batch, the worst first; those without speech have no quality."""
    its = transcriptions.c
    rows = connection.execute(
        select(*_COLUMNS)
        # the condition of the partial index, whose first rows are the worst of a batch
        .where(its.batch_id == batch_id, its.quality.is_not(None), its.status != _OUTDATED)
        .order_by(its.quality, its.id)
        .limit(limit)
    )
    return [_file_quality(row) for row in rows]


def of_shard(connection: Connection, shard_id: int) -> list[FileQuality]:
    """Return the transcripts of a shard that are not outdated, in order of file id, also those without speech."""
    its = transcriptions.c
    rows = connection.execute(
        select(*_COLUMNS)
        .join(audio_files, _OF_ITS_FILE)
        .where(audio_files.c.shard_id == shard_id, its.status != _OUTDATED)
        .order_by(its.audio_file_id)
    )
    return [_file_quality(row) for row in rows]


# both columns, because the table is partitioned by the second one
_OF_ITS_FILE = and_(
    audio_files.c.id == transcriptions.c.audio_file_id,
    audio_files.c.created_at == transcriptions.c.created_at,
)

FIGURES: Final = tuple(transcriptions.c[field.name] for field in fields(Figures))
"""The columns of the quality figures of a transcript."""

_COLUMNS = [
    transcriptions.c.id,
    transcriptions.c.audio_file_id,
    transcriptions.c.audio_file_path,
    transcriptions.c.duration,
    *FIGURES,
]


def figures_of(row: Row[Any]) -> Figures:
    """Return the figures of a row with the columns :data:`FIGURES`."""
    return Figures(**{field.name: getattr(row, field.name) for field in fields(Figures)})


def _file_quality(row: Row[Any]) -> FileQuality:
    return FileQuality(
        row.id,
        row.audio_file_id,
        row.audio_file_path,
        row.duration,
        figures_of(row),
    )
