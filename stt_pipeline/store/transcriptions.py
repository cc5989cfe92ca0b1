"""Queries on ``stt_transcriptions``, which is range-partitioned by month of ``created_at``.

A transcription's ``created_at`` is its audio file's, so that (audio_file_id, created_at) is unique and a shard that
runs twice writes the same row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, and_, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from stt_pipeline.speech.transcript import (
    SpeakerTurn,
    Transcript,
    segments_from_json,
    segments_to_json,
    turns_from_json,
    turns_to_json,
)
from stt_pipeline.store.files import AudioFile
from stt_pipeline.store.tables import audio_files, transcriptions

TranscriptionStatus = Literal["transcribed", "completed", "outdated"]


@dataclass(frozen=True, slots=True)
class Transcription:
    """A stored transcript. ``turns`` is empty until ``status`` is ``completed``; times are in seconds."""

    id: int
    created_at: datetime
    batch_id: int
    audio_file_id: int
    audio_file_path: str
    status: TranscriptionStatus
    transcript: Transcript
    turns: tuple[SpeakerTurn, ...]
    processing_completed_at: datetime
    processing_duration: float


_OF_ITS_FILE = and_(
    audio_files.c.id == transcriptions.c.audio_file_id,
    audio_files.c.created_at == transcriptions.c.created_at,
)


def _transcription(row: Row[Any]) -> Transcription:
    return Transcription(
        id=row.id,
        created_at=row.created_at,
        batch_id=row.batch_id,
        audio_file_id=row.audio_file_id,
        audio_file_path=row.audio_file_path,
        status=row.status,
        transcript=Transcript(
            language=row.language,
            language_probability=row.language_probability,
            duration=row.duration,
            model=row.model,
            segments=segments_from_json(row.segments),
            notes=tuple(row.notes),
        ),
        turns=turns_from_json(row.speaker_labels or []),
        processing_completed_at=row.processing_completed_at,
        processing_duration=row.processing_duration,
    )


def save(connection: Connection, file: AudioFile, transcript: Transcript, *, started_at: datetime) -> None:
    """Store the transcript of ``file`` before anybody looked for speakers; an older one is replaced in place."""
    values = {
        "batch_id": file.batch_id,
        "audio_file_id": file.id,
        "created_at": file.created_at,
        "audio_file_path": file.uri,
        "transcription_text": transcript.text,
        "segments": segments_to_json(transcript.segments),
        "speaker_labels": None,
        "status": "transcribed",
        "language": transcript.language,
        "language_probability": transcript.language_probability,
        "duration": transcript.duration,
        "model": transcript.model,
        "notes": list(transcript.notes),
        "processing_started_at": started_at,
        "processing_completed_at": func.clock_timestamp(),
        "processing_duration": func.extract("epoch", func.clock_timestamp() - started_at),
    }
    connection.execute(
        insert(transcriptions)
        .values(values)
        .on_conflict_do_update(index_elements=["audio_file_id", "created_at"], set_=values)
    )


def save_speakers(
    connection: Connection,
    transcription: Transcription,
    *,
    transcript: Transcript,
    turns: tuple[SpeakerTurn, ...],
) -> None:
    """Store who spoke when, and the same segments with their speakers."""
    connection.execute(
        update(transcriptions)
        .where(
            transcriptions.c.id == transcription.id, transcriptions.c.created_at == transcription.created_at
        )
        .values(
            segments=segments_to_json(transcript.segments),
            transcription_text=transcript.text,
            speaker_labels=turns_to_json(turns),
            notes=list(transcript.notes),
            status="completed",
            processing_completed_at=func.clock_timestamp(),
            processing_duration=func.extract(
                "epoch", func.clock_timestamp() - transcriptions.c.processing_started_at
            ),
        )
    )


def status_of(connection: Connection, file: AudioFile) -> TranscriptionStatus | None:
    """Return the status of a file's transcription without reading its text, or None where it has none."""
    status: TranscriptionStatus | None = connection.scalar(
        select(transcriptions.c.status).where(
            transcriptions.c.audio_file_id == file.id, transcriptions.c.created_at == file.created_at
        )
    )
    return status


def of_shard(connection: Connection, shard_id: int, limit: int | None = None) -> dict[int, Transcription]:
    """Return the transcriptions of a shard that are not outdated, by audio file id."""
    rows = connection.execute(
        select(transcriptions)
        .join(audio_files, _OF_ITS_FILE)
        .where(audio_files.c.shard_id == shard_id, transcriptions.c.status != "outdated")
        .order_by(transcriptions.c.audio_file_id)
        .limit(limit)
    )
    return {row.audio_file_id: _transcription(row) for row in rows}


def of_file(connection: Connection, file: AudioFile) -> Transcription | None:
    """Return the transcription of one audio file, or None where it has none yet."""
    row = connection.execute(
        select(transcriptions).where(
            transcriptions.c.audio_file_id == file.id, transcriptions.c.created_at == file.created_at
        )
    ).one_or_none()
    return _transcription(row) if row else None


def delete_of_shards(connection: Connection, shard_ids: Sequence[int]) -> None:
    """Delete the transcriptions of shards, with what hangs on them: their minutes, and the log of mails about these."""
    connection.execute(delete(transcriptions).where(_OF_ITS_FILE, audio_files.c.shard_id.in_(shard_ids)))


def ensure_months(connection: Connection, *, ahead: int = 2) -> None:
    """Make the monthly partitions of this month and of the ``ahead`` next ones, in UTC.

    A month that cannot be split off, because the default partition has rows of it already, stays there.
    """
    connection.execute(
        text(f"""
            DO $$
            DECLARE first timestamp; month text;
            BEGIN
                PERFORM pg_advisory_xact_lock({0x5354_5403});  -- "STT", 3
                FOR i IN 0..{int(ahead)} LOOP
                    first := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i);
                    month := 'stt_transcriptions_' || to_char(first, 'YYYY_MM');
                    CONTINUE WHEN to_regclass(month) IS NOT NULL;
                    BEGIN
                        EXECUTE format(
                            'CREATE TABLE %I PARTITION OF stt_transcriptions FOR VALUES FROM (%L) TO (%L)', month,
                            first AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
                    EXCEPTION WHEN check_violation THEN
                        RAISE NOTICE '% stays in the default partition', month;
                    END;
                END LOOP;
            END $$
        """)
    )
