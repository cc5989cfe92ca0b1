"""Queries on ``stt_audio_files``, the manifest: one row for each object of a batch's source."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, and_, case, func, select, text, update

from stt_pipeline.audio.probe import AudioInfo
from stt_pipeline.store.tables import audio_files, transcriptions

FileStatus = Literal["pending", "transcribed", "success", "failed"]


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A row of ``stt_audio_files``. ``duration`` is in seconds and None until the file was probed."""

    id: int
    batch_id: int
    shard_id: int | None
    uri: str
    size: int
    created_at: datetime
    status: FileStatus
    attempts: int
    error_class: str | None
    error: str | None
    duration: float | None


_COLUMNS = [audio_files.c[name] for name in AudioFile.__dataclass_fields__]


def _file(row: Row[Any]) -> AudioFile:
    return AudioFile(**row._mapping)


def add(connection: Connection, batch_id: int, rows: Iterable[tuple[str, int, str]]) -> None:
    """Insert objects given as (uri, size in bytes, etag), in this order; those that the batch has are left alone."""
    connection.execute(
        text(
            "CREATE TEMP TABLE IF NOT EXISTS incoming "
            "(place int GENERATED ALWAYS AS IDENTITY, uri text, size bigint, etag text) ON COMMIT DROP"
        )
    )
    cursor = connection.connection.cursor()
    with cursor.copy("COPY incoming (uri, size, etag) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    connection.execute(
        text("""
            INSERT INTO stt_audio_files (batch_id, uri, size, etag)
            SELECT :batch, uri, size, etag FROM incoming ORDER BY place
            ON CONFLICT (batch_id, uri, etag) DO NOTHING
        """),
        {"batch": batch_id},
    )
    connection.execute(text("TRUNCATE incoming"))


def reject_too_large(connection: Connection, batch_id: int, limit: int) -> list[int]:
    """Fail the batch's files over ``limit`` bytes, so that nothing ever downloads them.

    Files that an earlier, lower limit had failed get a new start; their shards' ids are returned.
    """
    connection.execute(
        text("""
            UPDATE stt_audio_files SET status = 'failed', error_class = 'too_large',
                error = format('The file has %s bytes, more than the limit of %s. Raise STT_MAX_FILE_BYTES and '
                               'scan the source again, or split the file.', size, CAST(:limit AS bigint))
            WHERE batch_id = :batch AND size > :limit AND status = 'pending'
        """),
        {"batch": batch_id, "limit": limit},
    )
    freed = connection.scalars(
        text("""
            UPDATE stt_audio_files SET status = 'pending', error_class = NULL, error = NULL
            WHERE batch_id = :batch AND error_class = 'too_large' AND status = 'failed' AND size <= :limit
            RETURNING shard_id
        """),
        {"batch": batch_id, "limit": limit},
    )
    return sorted(set(freed))


def total(connection: Connection, batch_id: int) -> int:
    """Return how many files the manifest has for the batch."""
    return connection.scalar(select(func.count()).where(audio_files.c.batch_id == batch_id)) or 0


def without_shard(connection: Connection, batch_id: int, limit: int) -> list[tuple[int, str]]:
    """Return (id, uri) of the next files that belong to no shard yet, in order of id."""
    rows = connection.execute(
        select(audio_files.c.id, audio_files.c.uri)
        .where(audio_files.c.batch_id == batch_id, audio_files.c.shard_id.is_(None))
        .order_by(audio_files.c.id)
        .limit(limit)
    )
    return [(row.id, row.uri) for row in rows]


def put_into_shards(connection: Connection, pairs: Sequence[tuple[int, int]]) -> None:
    """Write the shard of each file, given as (file id, shard id)."""
    connection.execute(
        text("""
            UPDATE stt_audio_files f SET shard_id = p.shard_id
            FROM unnest(CAST(:files AS bigint[]), CAST(:shards AS bigint[])) AS p (file_id, shard_id)
            WHERE f.id = p.file_id
        """),
        {"files": [pair[0] for pair in pairs], "shards": [pair[1] for pair in pairs]},
    )


def of_shard(connection: Connection, shard_id: int) -> list[AudioFile]:
    """Return the shard's files in order of id."""
    rows = connection.execute(
        select(*_COLUMNS).where(audio_files.c.shard_id == shard_id).order_by(audio_files.c.id)
    )
    return [_file(row) for row in rows]


def of_batch(connection: Connection, batch_id: int, page: int = 1000) -> Iterator[AudioFile]:
    """Iterate over the batch's files in order of id, reading ``page`` rows at a time."""
    last = 0
    while True:
        rows = connection.execute(
            select(*_COLUMNS)
            .where(audio_files.c.batch_id == batch_id, audio_files.c.id > last)
            .order_by(audio_files.c.id)
            .limit(page)
        ).all()
        if not rows:
            return
        yield from (_file(row) for row in rows)
        last = rows[-1].id


def failed(connection: Connection, batch_id: int, limit: int) -> list[AudioFile]:
    """Return the first failed files of the batch, by class."""
    rows = connection.execute(
        select(*_COLUMNS)
        .where(audio_files.c.batch_id == batch_id, audio_files.c.status == "failed")
        .order_by(audio_files.c.error_class, audio_files.c.id)
        .limit(limit)
    )
    return [_file(row) for row in rows]


def failures_by_class(connection: Connection, batch_id: int) -> dict[str, int]:
    """Return how many files of the batch failed under each error class."""
    rows = connection.execute(
        select(audio_files.c.error_class, func.count().label("files"))
        .where(audio_files.c.batch_id == batch_id, audio_files.c.status == "failed")
        .group_by(audio_files.c.error_class)
        .order_by(audio_files.c.error_class)
    )
    return {row.error_class: row.files for row in rows}


def save_probe(connection: Connection, file_id: int, info: AudioInfo) -> None:
    """Write what the file is."""
    connection.execute(
        update(audio_files)
        .where(audio_files.c.id == file_id)
        .values(
            duration=info.duration,
            sample_rate=info.sample_rate,
            channels=info.channels,
            codec=info.codec,
            container=info.container,
        )
    )


def set_status(connection: Connection, file_id: int, status: FileStatus) -> None:
    """Move a file on; what went wrong before is forgotten."""
    connection.execute(
        update(audio_files)
        .where(audio_files.c.id == file_id)
        .values(status=status, attempts=0, error_class=None, error=None)
    )


def record_failure(
    connection: Connection, file_id: int, *, error_class: str, error: str, retry_below: int
) -> FileStatus:
    """Count a failed attempt and return the file's status after it.

    Args:
        retry_below: the file keeps its status, and so gets another try, while it has had fewer attempts than this;
            0 fails it at once.
    """
    status: FileStatus = connection.execute(
        text("""
            UPDATE stt_audio_files
            SET attempts = attempts + 1, error_class = :error_class, error = :error,
                status = CASE WHEN attempts + 1 < :retry_below THEN status ELSE 'failed' END
            WHERE id = :file RETURNING status
        """),
        # Postgres text has no NUL, and a library's message may quote one from a broken file
        {
            "file": file_id,
            "error_class": error_class,
            "error": error.replace("\0", "")[:2000],
            "retry_below": retry_below,
        },
    ).scalar_one()
    return status


def fail_open(connection: Connection, shard_id: int, error: str, *, only: int | None) -> None:
    """Fail the files of a shard that have not ended, or ``only`` one of them, for a reason that none of them gave."""
    chosen = audio_files.c.id == only if only is not None else audio_files.c.shard_id == shard_id
    connection.execute(
        update(audio_files)
        .where(chosen, audio_files.c.status.in_(("pending", "transcribed")))
        .values(status="failed", error_class="internal", error=error)
    )


def reopen(connection: Connection, shard_id: int, *, every_file: bool, from_speech: bool) -> int:
    """Give failed files of a shard a new start, from their transcript where they have one; return how many.

    Files that failed as ``too_large`` stay so.

    Args:
        every_file: start over with the files that succeeded, too; rows keep their ids, so that nobody gets a second
            mail.
        from_speech: also start files without a transcript, and with ``every_file`` make all transcripts again.
    """
    if every_file and from_speech:
        connection.execute(
            text("""
                UPDATE stt_transcriptions t SET status = 'outdated' FROM stt_audio_files f
                WHERE f.shard_id = :shard AND t.audio_file_id = f.id AND t.created_at = f.created_at
            """),
            {"shard": shard_id},
        )
    has_transcript = (
        select(transcriptions.c.id)
        .where(
            transcriptions.c.audio_file_id == audio_files.c.id,
            transcriptions.c.created_at == audio_files.c.created_at,
            transcriptions.c.status == "completed",
        )
        .exists()
    )
    chosen = audio_files.c.error_class.is_distinct_from("too_large")
    if not every_file:
        chosen = and_(chosen, audio_files.c.status == "failed")
    if not from_speech:
        chosen = and_(chosen, has_transcript)
    return connection.execute(
        update(audio_files)
        .where(audio_files.c.shard_id == shard_id, chosen)
        .values(
            status=case((has_transcript, "transcribed"), else_="pending"),
            attempts=0,
            error_class=None,
            error=None,
        )
    ).rowcount
