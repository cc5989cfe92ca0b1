"""Queries on ``stt_summaries``: the minutes of each transcription."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select
from sqlalchemy.dialects.postgresql import insert

from stt_pipeline.minutes.model import ActionItem, Minutes, minutes_to_json
from stt_pipeline.store.tables import audio_files, summaries, transcriptions
from stt_pipeline.store.transcriptions import Transcription


@dataclass(frozen=True, slots=True)
class Summary:
    """Stored minutes and the audio file that they are about."""

    id: int
    audio_file_id: int
    created_at: datetime
    minutes: Minutes


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
    )


_OF_ITS_TRANSCRIPTION = and_(
    summaries.c.transcription_id == transcriptions.c.id,
    summaries.c.transcription_created_at == transcriptions.c.created_at,
)


def save(connection: Connection, transcription: Transcription, minutes: Minutes) -> None:
    """Store the minutes of a transcription; older ones are replaced in place and keep their id."""
    values = {
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
        "created_at": func.clock_timestamp(),
    }
    connection.execute(
        insert(summaries)
        .values(values)
        .on_conflict_do_update(index_elements=["transcription_id", "transcription_created_at"], set_=values)
    )


def of_shard(connection: Connection, shard_id: int, limit: int | None = None) -> dict[int, Summary]:
    """Return the minutes of a shard's files, by audio file id."""
    rows = connection.execute(
        select(summaries, transcriptions.c.audio_file_id)
        .join(transcriptions, _OF_ITS_TRANSCRIPTION)
        .join(
            audio_files,
            and_(
                audio_files.c.id == transcriptions.c.audio_file_id,
                audio_files.c.created_at == transcriptions.c.created_at,
            ),
        )
        .where(audio_files.c.shard_id == shard_id)
        .order_by(transcriptions.c.audio_file_id)
        .limit(limit)
    )
    return {row.audio_file_id: _summary(row) for row in rows}


def of_transcription(connection: Connection, transcription: Transcription) -> Summary | None:
    """Return the minutes of one transcription, or None where there are none yet."""
    row = connection.execute(
        select(summaries, transcriptions.c.audio_file_id)
        .join(transcriptions, _OF_ITS_TRANSCRIPTION)
        .where(
            transcriptions.c.id == transcription.id, transcriptions.c.created_at == transcription.created_at
        )
    ).one_or_none()
    return _summary(row) if row else None
