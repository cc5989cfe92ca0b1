"""Queries on ``stt_summaries``: the minutes of each transcription."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from stt_pipeline.minutes.model import ActionItem, Minutes, minutes_to_json
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.results.transcriptions import Transcription, belongs_to
from stt_pipeline.store.tables import audio_files, summaries, transcriptions


@dataclass(frozen=True, slots=True)
class Summary:
    """Stored minutes and the id of their audio file; ``fingerprint`` is None if their options are not known."""

    id: int
    audio_file_id: int
    created_at: datetime
    minutes: Minutes
    fingerprint: str | None = None


def _summary(row: Row[Any]) -> Summary:
    return Summary(
        id=row.id,
        audio_file_id=row.audio_file_id,
        created_at=row.created_at,
        minutes=Minutes(
            title=row.title,
            summary=row.summary_text,
            topics=tuple(row.topics),
            decisions=tuple(row.decisions),
            action_items=tuple(ActionItem(**item) for item in row.action_items),
            keywords=tuple(row.keywords),
            model=row.llm_model,
            tokens_used=row.tokens_used,
        ),
        fingerprint=row.fingerprint,
    )


_OF_ITS_TRANSCRIPTION = and_(
    summaries.c.transcription_id == transcriptions.c.id,
    summaries.c.transcription_created_at == transcriptions.c.created_at,
)


def save(
    connection: Connection,
    written: Sequence[tuple[Transcription, Minutes]],
    *,
    fingerprint: str | None = None,
) -> None:
    """Insert or replace the minutes of transcriptions; replaced rows keep their id.

    Args:
        fingerprint: of the options that they were made with; None if that is not known.
    """
    row = insert(summaries).values(created_at=func.clock_timestamp())
    key = ("transcription_id", "transcription_created_at")
    replaced = {column.name: column for column in row.excluded if column.name not in ("id", *key)}
    connection.execute(
        row.on_conflict_do_update(index_elements=key, set_=replaced),
        [
            {
                "transcription_id": transcription.id,
                "transcription_created_at": transcription.created_at,
                "title": minutes.title,
                "summary_text": minutes.summary,
                "topics": list(minutes.topics),
                "decisions": list(minutes.decisions),
                "keywords": list(minutes.keywords),
                "action_items": minutes_to_json(minutes)["action_items"],
                "llm_model": minutes.model,
                "tokens_used": minutes.tokens_used,
                "fingerprint": fingerprint,
            }
            for transcription, minutes in written
        ],
    )


def of_files(connection: Connection, files: Sequence[AudioFile]) -> dict[int, Summary]:
    """Return the minutes of each file that has minutes, by audio file id."""
    rows = connection.execute(
        select(summaries, transcriptions.c.audio_file_id)
        .join(transcriptions, _OF_ITS_TRANSCRIPTION)
        .where(belongs_to(files))
    )
    return {row.audio_file_id: _summary(row) for row in rows}


def of_shard(connection: Connection, shard_id: int, limit: int) -> list[tuple[str, Summary]]:
    """Return (uri, minutes) of the first files of a shard that have minutes, in order of file id."""
    rows = connection.execute(
        _of_shard(select(summaries, transcriptions.c.audio_file_id, audio_files.c.uri), shard_id).limit(limit)
    )
    return [(row.uri, _summary(row)) for row in rows]


def rows_of_shard(connection: Connection, shard_id: int) -> list[dict[str, Any]]:
    """Return a row of the ``minutes`` dataset for each file of a shard that has minutes, in order of file id."""
    return [dict(row) for row in connection.execute(_of_shard(_ROW, shard_id)).mappings()]


def rows_of_files(connection: Connection, files: Sequence[AudioFile]) -> list[dict[str, Any]]:
    """Return a row of the ``minutes`` dataset for each file that has minutes, in order of id."""
    chosen = (
        _ROW.join_from(summaries, transcriptions, _OF_ITS_TRANSCRIPTION)
        .where(belongs_to(files))
        .order_by(transcriptions.c.audio_file_id)
    )
    return [dict(row) for row in connection.execute(chosen).mappings()]


_ROW = select(
    transcriptions.c.batch_id,
    transcriptions.c.audio_file_id,
    transcriptions.c.audio_file_path.label("uri"),
    summaries.c.title,
    summaries.c.summary_text.label("summary"),
    summaries.c.topics,
    summaries.c.decisions,
    summaries.c.action_items,
    summaries.c.keywords,
    summaries.c.llm_model.label("model"),
    summaries.c.tokens_used,
)


def _of_shard(chosen: Select[Any], shard_id: int) -> Select[Any]:
    of_its_file = and_(
        audio_files.c.id == transcriptions.c.audio_file_id,
        audio_files.c.created_at == transcriptions.c.created_at,
    )
    return (
        chosen.join_from(summaries, transcriptions, _OF_ITS_TRANSCRIPTION)
        .join(audio_files, of_its_file)
        .where(audio_files.c.shard_id == shard_id)
        .order_by(transcriptions.c.audio_file_id)
    )


def of_transcription(connection: Connection, transcription: Transcription) -> Summary | None:
    """Return the minutes of one transcription, or None if it has none yet."""
    row = connection.execute(
        select(summaries, literal(transcription.audio_file_id).label("audio_file_id")).where(
            summaries.c.transcription_id == transcription.id,
            summaries.c.transcription_created_at == transcription.created_at,
        )
    ).one_or_none()
    return _summary(row) if row else None


def of_file(connection: Connection, file: AudioFile) -> Summary | None:
    """Return the minutes of one audio file, or None if it has none yet."""
    return of_files(connection, [file]).get(file.id)
