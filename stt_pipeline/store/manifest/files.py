"""Queries on ``stt_audio_files``, the manifest: one row for each object of a batch's source."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    text,
    true,
    tuple_,
    update,
)

from stt_pipeline.audio.probe import AudioInfo
from stt_pipeline.store.queue import batch_stats
from stt_pipeline.store.tables import audio_files, shards, transcriptions

FileStatus = Literal["pending", "transcribed", "success", "failed"]


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A row of ``stt_audio_files``. ``duration`` is in seconds; it and ``content_sha256`` are None until the file is probed."""

    id: int
    batch_id: int
    shard_id: int
    uri: str
    size: int
    etag: str
    created_at: datetime
    status: FileStatus
    attempts: int
    error_class: str | None
    error: str | None
    duration: float | None
    content_sha256: bytes | None


FILE_COLUMNS = [audio_files.c[name] for name in AudioFile.__dataclass_fields__]
_IS_UNDELIVERED = and_(audio_files.c.status == "success", audio_files.c.error_class == "email")


def _file(row: Row[Any]) -> AudioFile:
    return AudioFile(**row._mapping)


def of_shard(connection: Connection, shard_id: int) -> list[AudioFile]:
    """Return the shard's files in order of id."""
    rows = connection.execute(
        select(*FILE_COLUMNS).where(audio_files.c.shard_id == shard_id).order_by(audio_files.c.id)
    )
    return [_file(row) for row in rows]


def page(connection: Connection, batch_id: int, *, after: int = 0, limit: int = 1000) -> list[AudioFile]:
    """Return the next files of the batch with an id above ``after``, in order of id."""
    rows = connection.execute(
        select(*FILE_COLUMNS)
        .where(audio_files.c.batch_id == batch_id, audio_files.c.id > after)
        .order_by(audio_files.c.id)
        .limit(limit)
    )
    return [_file(row) for row in rows]


def of_batch(connection: Connection, batch_id: int) -> Iterator[AudioFile]:
    """Iterate over the batch's files in order of id, a page at a time."""
    last = 0
    while found := page(connection, batch_id, after=last):
        yield from found
        last = found[-1].id


def in_order_of_shards(
    connection: Connection,
    batch_id: int,
    limit: int,
    *,
    status: FileStatus | None = None,
    after: tuple[int, int] = (-1, 0),
) -> list[tuple[int, AudioFile]]:
    """Return a page of (shard number, file) of the batch, in order of shard number and file id.

    Shards whose counters exclude files of ``status`` are skipped, so a few files among millions are found fast.

    Args:
        after: shard number and file id of the last file of the previous page.
    """
    number, last = after
    its_files = (
        select(*FILE_COLUMNS)
        .where(audio_files.c.shard_id == shards.c.id)
        .where(or_(shards.c.number > number, audio_files.c.id > last))
        .order_by(audio_files.c.id)
        .limit(limit)
    )
    if status is not None:
        its_files = its_files.where(audio_files.c.status == status)
    found = its_files.lateral("its_files")
    rows = connection.execute(
        select(shards.c.number, *found.c)
        .join_from(shards, found, true())
        .where(shards.c.batch_id == batch_id, shards.c.number >= number, _may_hold(status))
        .order_by(shards.c.number, found.c.id)
        .limit(limit)
    )
    return [
        (row.number, AudioFile(**{name: row._mapping[name] for name in AudioFile.__dataclass_fields__}))
        for row in rows
    ]


def _may_hold(status: FileStatus | None) -> ColumnElement[bool]:
    """Return the condition that a shard can have files of a status, by its counters and stage."""
    is_open = shards.c.completed + shards.c.failed < shards.c.total
    # a crashed run may leave transcripts in a shard of the stage transcribe
    begun = or_(
        shards.c.token.is_not(None), shards.c.busy_seconds > 0, shards.c.tries > 0, shards.c.crashes > 0
    )
    return {
        None: true(),
        "pending": and_(is_open, shards.c.stage != "publish"),
        "transcribed": and_(is_open, or_(shards.c.stage != "transcribe", begun)),
        "success": shards.c.completed > 0,
        "failed": shards.c.failed > 0,
    }[status]


def failed(
    connection: Connection,
    batch_id: int,
    limit: int,
    *,
    error_class: str | None = None,
    after: tuple[str, int] | None = None,
) -> list[AudioFile]:
    """Return a page of the batch's failed files in order of error class and id: all, or those of one class.

    Args:
        error_class: ``email`` means the successful files whose minutes some recipient did not get.
        after: error class and id of the last file of the previous page; the file may be reset since then.
    """
    chosen = select(*FILE_COLUMNS).order_by(audio_files.c.error_class, audio_files.c.id).limit(limit)
    if error_class == "email":
        its_shards = select(shards.c.id).where(shards.c.batch_id == batch_id, shards.c.undelivered > 0)
        chosen = chosen.where(audio_files.c.shard_id.in_(its_shards), _IS_UNDELIVERED)
    else:
        chosen = chosen.where(audio_files.c.batch_id == batch_id, audio_files.c.status == "failed")
    if error_class is not None:
        chosen = chosen.where(audio_files.c.error_class == error_class)
    if after is not None:
        place = tuple_(audio_files.c.error_class, audio_files.c.id)
        chosen = chosen.where(place > tuple_(*after))
    return [_file(row) for row in connection.execute(chosen)]


def save_probes(connection: Connection, found: Mapping[int, tuple[AudioInfo, bytes]]) -> None:
    """Write the probed properties and the SHA-256 of files, by file id."""
    connection.execute(
        update(audio_files).where(audio_files.c.id == bindparam("its_id")),
        [
            {"its_id": file_id, **asdict(info), "content_sha256": content}
            for file_id, (info, content) in found.items()
        ],
    )


def set_transcribed(connection: Connection, file_ids: Sequence[int]) -> None:
    """Set files to ``transcribed``, and clear their attempts and errors."""
    connection.execute(
        update(audio_files)
        .where(audio_files.c.id.in_(file_ids))
        .values(status="transcribed", attempts=0, error_class=None, error=None)
    )


def succeed(connection: Connection, batch_id: int, file_ids: Sequence[int]) -> tuple[int, float]:
    """Set files of a batch to ``success``, and count them in the throughput.

    A file that has succeeded already, as when a lost connection hid a commit, is not counted again.

    Returns:
        The number of files that succeeded now, and the seconds of their audio.
    """
    durations = connection.scalars(
        update(audio_files)
        .where(audio_files.c.id.in_(file_ids), audio_files.c.status != "success")
        .values(status="success", attempts=0, error_class=None, error=None, ended_at=func.now())
        .returning(func.coalesce(audio_files.c.duration, 0.0))
    ).all()
    seconds = sum(durations)
    batch_stats.add_throughput(connection, batch_id, files=len(durations), audio_seconds=seconds)
    return len(durations), seconds


def record_failure(
    connection: Connection, file_id: int, *, error_class: str, error: str, retry_below: int
) -> FileStatus:
    """Count a failed attempt and return the file's status after it; a file that fails counts in the throughput.

    A file whose minutes cannot be delivered has all its results: it is a ``success`` with the error.

    Args:
        retry_below: the file keeps its status, and is retried, while it has fewer attempts than this; 0 fails it
            immediately.
    """
    row = connection.execute(
        text("""
            UPDATE stt_audio_files
            SET attempts = attempts + 1, error_class = :error_class, error = :error,
                status = CASE WHEN attempts + 1 < :retry_below THEN status ELSE :last END,
                ended_at = CASE WHEN attempts + 1 < :retry_below THEN ended_at ELSE coalesce(ended_at, now()) END
            WHERE id = :file
            RETURNING status, batch_id, ended_at = now() AS ends_now,
                      CASE WHEN status = 'success' THEN coalesce(duration, 0) ELSE 0 END AS audio_seconds
        """),
        # Postgres text cannot contain NUL, and the message of a library may quote bytes of a broken file
        {
            "file": file_id,
            "error_class": error_class,
            "error": error.replace("\0", "")[:2000],
            "retry_below": retry_below,
            "last": "success" if error_class == "email" else "failed",
        },
    ).one()
    if row.ends_now:
        batch_stats.add_throughput(connection, row.batch_id, files=1, audio_seconds=row.audio_seconds)
    status: FileStatus = row.status
    return status


def fail_open(connection: Connection, shard_id: int, error: str, *, only: int | None) -> None:
    """Fail the files of a shard that have not ended, or only the file with the id ``only``, as ``internal``."""
    chosen = audio_files.c.id == only if only is not None else audio_files.c.shard_id == shard_id
    failed = connection.scalars(
        update(audio_files)
        .where(chosen, audio_files.c.status.in_(("pending", "transcribed")))
        .values(status="failed", error_class="internal", error=error, ended_at=func.now())
        .returning(audio_files.c.batch_id)
    )
    for batch_id, files in Counter(failed).items():
        batch_stats.add_throughput(connection, batch_id, files=files, audio_seconds=0.0)


def reopen(
    connection: Connection,
    shard_ids: Sequence[int],
    *,
    every_file: bool = False,
    from_speech: bool = True,
    error_class: str | None = None,
    max_file_bytes: int = 0,
) -> dict[int, int]:
    """Reset failed files of some shards: to ``transcribed`` if they have a transcript, else to ``pending``.

    A file whose minutes could not be delivered counts as failed here. The throughput no longer counts them; it will in the
    minute in which they end again.

    Args:
        every_file: also reset successful files. Rows keep their ids, so that no mail is sent twice.
        from_speech: also reset files without a transcript; with ``every_file``, transcribe all files again.
        error_class: only files that failed with this class.
        max_file_bytes: larger files that failed as ``too_large`` stay failed.

    Returns:
        The number of files that were reset, by shard id.
    """
    if every_file and from_speech:
        connection.execute(
            text("""
                UPDATE stt_transcriptions t SET status = 'outdated' FROM stt_audio_files f
                WHERE f.shard_id = ANY(:shards) AND t.audio_file_id = f.id AND t.created_at = f.created_at
            """),
            {"shards": list(shard_ids)},
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
    chosen = or_(
        audio_files.c.error_class.is_distinct_from("too_large"), audio_files.c.size <= max_file_bytes
    )
    if not every_file:
        chosen = and_(chosen, or_(audio_files.c.status == "failed", _IS_UNDELIVERED))
    if error_class is not None:
        chosen = and_(chosen, audio_files.c.error_class == error_class)
    if not from_speech:
        chosen = and_(chosen, has_transcript)
    before = (
        select(audio_files.c.id, audio_files.c.status, audio_files.c.ended_at)
        .where(audio_files.c.shard_id.in_(shard_ids), chosen)
        .with_for_update()
        .cte("before")
    )
    succeeded = before.c.status == "success"
    reset = connection.execute(
        update(audio_files)
        .where(audio_files.c.id == before.c.id)
        .values(
            status=case((has_transcript, "transcribed"), else_="pending"),
            attempts=0,
            error_class=None,
            error=None,
            ended_at=None,
        )
        .returning(
            audio_files.c.shard_id,
            audio_files.c.batch_id,
            func.date_trunc("minute", before.c.ended_at).label("minute"),
            case((succeeded, func.coalesce(audio_files.c.duration, 0.0)), else_=0.0).label("seconds"),
        )
    ).all()
    batch_stats.subtract_throughput(
        connection, [(row.batch_id, row.minute, row.seconds) for row in reset if row.minute]
    )
    return dict(Counter(row.shard_id for row in reset))
