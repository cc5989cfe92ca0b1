"""Queries on ``stt_transcriptions``, which is range-partitioned by month of ``created_at``.

``created_at`` is copied from the audio file, so (audio_file_id, created_at) is unique, and a second run of a shard
writes the same row.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    func,
    null,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from stt_pipeline.errors import NotFoundError
from stt_pipeline.speech.quality import Figures
from stt_pipeline.speech.transcript import (
    SpeakerTurn,
    TimeSpan,
    Transcript,
    segments_from_json,
    segments_to_json,
    turns_from_json,
    turns_to_json,
)
from stt_pipeline.store.manifest.files import AudioFile
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


@dataclass(frozen=True, slots=True)
class NewTranscript:
    """A new transcript, its file, and when its processing began."""

    file: AudioFile
    transcript: Transcript
    started_at: datetime


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
            speech_seconds=row.speech_seconds,
            untranscribed_speech_seconds=row.untranscribed_speech_seconds,
            untranscribed_parts=tuple(TimeSpan(**part) for part in row.untranscribed_parts),
            quality=row.quality,
            detected_language=row.detected_language,
            detected_language_probability=row.detected_language_probability,
        ),
        turns=turns_from_json(row.speaker_labels or []),
        processing_completed_at=row.processing_completed_at,
        processing_duration=row.processing_duration,
    )


def belongs_to(files: Sequence[AudioFile]) -> ColumnElement[bool]:
    """Return the condition that a transcription belongs to one of ``files``; their dates select the partitions."""
    return and_(
        transcriptions.c.audio_file_id.in_([file.id for file in files]),
        transcriptions.c.created_at.in_({file.created_at for file in files}),
    )


def save(connection: Connection, new: Sequence[NewTranscript], *, fingerprint: str | None = None) -> None:
    """Insert transcripts without speakers, or replace those of the same files; ``fingerprint`` is of their options."""
    started_at = bindparam("started_at", type_=transcriptions.c.processing_started_at.type)
    row = insert(transcriptions).values(
        speaker_labels=null(),
        status="transcribed",
        processing_started_at=started_at,
        processing_completed_at=func.clock_timestamp(),
        processing_duration=func.extract("epoch", func.clock_timestamp() - started_at),
    )
    key = ("audio_file_id", "created_at")
    replaced = {
        column.name: column for column in row.excluded if column.name not in ("id", "ex_gpt_task_id", *key)
    }
    connection.execute(
        row.on_conflict_do_update(index_elements=key, set_=replaced),
        [
            {
                "batch_id": one.file.batch_id,
                "audio_file_id": one.file.id,
                "created_at": one.file.created_at,
                "audio_file_path": one.file.uri,
                "transcription_text": one.transcript.text,
                "segments": segments_to_json(one.transcript.segments),
                "language_probability": one.transcript.language_probability,
                "duration": one.transcript.duration,
                "model": one.transcript.model,
                "notes": list(one.transcript.notes),
                "untranscribed_parts": [asdict(part) for part in one.transcript.untranscribed_parts],
                "started_at": one.started_at,
                "fingerprint": fingerprint,
                **asdict(Figures.of(one.transcript)),
            }
            for one in new
        ],
    )


def save_speakers(
    connection: Connection, found: Sequence[Transcription], *, fingerprint: str | None = None
) -> None:
    """Store the speaker turns, and the segments with speakers; ``fingerprint`` is of the options of diarization."""
    connection.execute(
        update(transcriptions)
        .where(
            transcriptions.c.id == bindparam("its_id"), transcriptions.c.created_at == bindparam("its_date")
        )
        .values(
            status="completed",
            speakers_fingerprint=fingerprint,
            processing_completed_at=func.clock_timestamp(),
            processing_duration=func.extract(
                "epoch", func.clock_timestamp() - transcriptions.c.processing_started_at
            ),
        ),
        [
            {
                "its_id": one.id,
                "its_date": one.created_at,
                "segments": segments_to_json(one.transcript.segments),
                "transcription_text": one.transcript.text,
                "speaker_labels": turns_to_json(one.turns),
                "notes": list(one.transcript.notes),
                **asdict(Figures.of(one.transcript)),
            }
            for one in found
        ],
    )


def statuses(connection: Connection, files: Sequence[AudioFile]) -> dict[int, TranscriptionStatus]:
    """Return the status of the transcription of each file that has one, by audio file id; does not read the text."""
    rows = connection.execute(
        select(transcriptions.c.audio_file_id, transcriptions.c.status).where(belongs_to(files))
    )
    return {row.audio_file_id: row.status for row in rows}


def have_text(connection: Connection, files: Sequence[AudioFile]) -> dict[int, bool]:
    """Return by audio file id whether a transcript has text; false for a recording without speech."""
    rows = connection.execute(
        select(
            transcriptions.c.audio_file_id, (transcriptions.c.transcription_text != "").label("has_text")
        ).where(belongs_to(files))
    )
    return {row.audio_file_id: row.has_text for row in rows}


def of_shard(connection: Connection, shard_id: int, limit: int) -> list[Transcription]:
    """Return the first transcriptions of a shard that are not outdated, in order of file id."""
    rows = connection.execute(
        select(transcriptions)
        .join(audio_files, _OF_ITS_FILE)
        .where(audio_files.c.shard_id == shard_id, transcriptions.c.status != "outdated")
        .order_by(transcriptions.c.audio_file_id)
        .limit(limit)
    )
    return [_transcription(row) for row in rows]


def rows_of_shard(connection: Connection, shard_id: int) -> list[dict[str, Any]]:
    """Return a row of the ``transcripts`` dataset for each transcript with speakers of a shard, in order of file id."""
    return _rows(connection, _ROW.join(audio_files, _OF_ITS_FILE).where(audio_files.c.shard_id == shard_id))


def rows_of_files(connection: Connection, files: Sequence[AudioFile]) -> list[dict[str, Any]]:
    """Return a row of the ``transcripts`` dataset for each file that has a transcript with speakers, in order of file id."""
    return _rows(connection, _ROW.where(belongs_to(files)))


_ROW = select(
    transcriptions.c.batch_id,
    transcriptions.c.audio_file_id,
    transcriptions.c.audio_file_path.label("uri"),
    transcriptions.c.duration,
    transcriptions.c.language,
    transcriptions.c.language_probability,
    transcriptions.c.detected_language,
    transcriptions.c.detected_language_probability,
    transcriptions.c.model,
    transcriptions.c.notes,
    transcriptions.c.quality,
    transcriptions.c.speech_seconds,
    transcriptions.c.untranscribed_speech_seconds,
    transcriptions.c.untranscribed_parts,
    transcriptions.c.suspect_segments,
    transcriptions.c.transcription_text.label("text"),
    transcriptions.c.segments,
    transcriptions.c.speaker_labels.label("speaker_turns"),
)


def _rows(connection: Connection, chosen: Select[Any]) -> list[dict[str, Any]]:
    rows = connection.execute(
        chosen.where(transcriptions.c.status == "completed").order_by(transcriptions.c.audio_file_id)
    )
    return [dict(row) for row in rows.mappings()]


def get(connection: Connection, transcription_id: int) -> Transcription:
    """Return one transcription; the query uses the index of each monthly partition.

    Raises:
        NotFoundError: the transcription does not exist.
    """
    row = connection.execute(
        select(transcriptions).where(transcriptions.c.id == transcription_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError(
            f"Transcription {transcription_id} does not exist. The list of files of a batch shows the ids of transcriptions."
        )
    return _transcription(row)


def ids(connection: Connection, files: Sequence[AudioFile]) -> dict[int, int]:
    """Return the id of the transcription of each file that has one, by audio file id; does not read the text."""
    rows = connection.execute(
        select(transcriptions.c.audio_file_id, transcriptions.c.id).where(belongs_to(files))
    )
    return {row.audio_file_id: row.id for row in rows}


def has_any(connection: Connection, batch_id: int) -> bool:
    """Return whether the batch has a transcript that is not outdated."""
    # with batch_id = alone, the planner scans the table from its start until it finds a row of the batch
    nearest = connection.scalar(
        select(transcriptions.c.batch_id)
        .where(transcriptions.c.batch_id >= batch_id, transcriptions.c.status != "outdated")
        .order_by(transcriptions.c.batch_id)
        .limit(1)
    )
    return nearest == batch_id


def of_files(connection: Connection, files: Sequence[AudioFile]) -> dict[int, Transcription]:
    """Return the transcription of each file that has one, by audio file id."""
    rows = connection.execute(select(transcriptions).where(belongs_to(files)))
    return {row.audio_file_id: _transcription(row) for row in rows}


def of_file(connection: Connection, file: AudioFile) -> Transcription | None:
    """Return the transcription of one audio file, or None if it has none yet."""
    return of_files(connection, [file]).get(file.id)


def delete_of_shards(connection: Connection, shard_ids: Sequence[int]) -> None:
    """Delete the transcriptions of shards with the rows that refer to them: minutes and their email log."""
    of_shards = select(audio_files.c.id, audio_files.c.created_at).where(
        audio_files.c.shard_id.in_(shard_ids)
    )
    found = connection.execute(of_shards).all()
    # explicit ids: the planner uses the index, whatever number of files per shard it estimates
    connection.execute(
        delete(transcriptions).where(
            transcriptions.c.audio_file_id.in_([row.id for row in found]),
            transcriptions.c.created_at.in_({row.created_at for row in found}),
        )
    )


def ensure_months(connection: Connection, *, ahead: int = 2) -> None:
    """Create the partitions of this month and the next ``ahead`` months, in UTC.

    A month with rows in the default partition already gets no partition of its own.
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
