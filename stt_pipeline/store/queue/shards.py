"""Queries on ``stt_shards``: the ordered groups of audio files that runs process."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Exists, RowMapping, and_, func, or_, select, text, update
from sqlalchemy import delete as delete_from

from stt_pipeline.store.queue import leases
from stt_pipeline.store.queue.leases import Lease, LeaseState
from stt_pipeline.store.tables import batches, shards

Stage = Literal["transcribe", "publish"]


@dataclass(frozen=True, slots=True)
class Shard:
    """A row of ``stt_shards`` without its lease: ``bytes`` of its files, and ``probed_seconds``, 0 before the first run."""

    id: int
    batch_id: int
    number: int
    key: str
    stage: str
    total: int
    bytes: int
    completed: int
    failed: int
    probed_seconds: float
    tries: int
    crashes: int
    active_file_id: int | None


_COLUMNS = [shards.c[name] for name in Shard.__dataclass_fields__]


def _shard(row: RowMapping) -> Shard:
    return Shard(**{name: row[name] for name in Shard.__dataclass_fields__})


def add(connection: Connection, batch_id: int, rows: Sequence[tuple[int, str]]) -> dict[int, int]:
    """Insert empty shards, given as (number, key) in order of number, and return the id of each number."""
    cursor = connection.connection.cursor()
    with cursor.copy("COPY stt_shards (batch_id, number, key, stage) FROM STDIN") as copy:
        for number, key in rows:
            copy.write_row((batch_id, number, key, "transcribe"))
    found = connection.execute(
        select(shards.c.number, shards.c.id).where(
            shards.c.batch_id == batch_id, shards.c.number >= rows[0][0]
        )
    )
    return {row.number: row.id for row in found}


def get(connection: Connection, shard_id: int) -> Shard:
    """Return one shard."""
    return _shard(connection.execute(select(*_COLUMNS).where(shards.c.id == shard_id)).one()._mapping)


def close(connection: Connection, shard_id: int) -> None:
    """Mark a shard as done, without a check of its files."""
    connection.execute(update(shards).where(shards.c.id == shard_id).values(stage="done"))


def next_number(connection: Connection, batch_id: int) -> int:
    """Return the number for the next shard of the batch."""
    highest = connection.scalar(select(func.max(shards.c.number)).where(shards.c.batch_id == batch_id))
    return 0 if highest is None else highest + 1


def lock(connection: Connection, keys: Sequence[str]) -> list[tuple[Shard, LeaseState]]:
    """Lock the shards with these keys and return each with its lease, in order of id."""
    live = func.coalesce(shards.c.lease_until > func.now(), False).label("live")
    rows = connection.execute(
        select(*_COLUMNS, shards.c.token, shards.c.run_id, live)
        .where(shards.c.key.in_(keys))
        .order_by(shards.c.id)
        .with_for_update(key_share=True)
    )
    return [(_shard(row._mapping), LeaseState(row.token, row.run_id, row.live)) for row in rows]


def ready(connection: Connection, batch_id: int, limit: int) -> list[Shard]:
    """Lock and return free shards of a batch that can be dispatched now: ``publish`` first, then by number."""
    rows = connection.execute(
        select(*_COLUMNS)
        .where(shards.c.batch_id == batch_id, _is_ready())
        .order_by(shards.c.stage, shards.c.number)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [_shard(row._mapping) for row in rows]


def has_ready(batch: ColumnElement[int]) -> Exists:
    """Return the condition that a shard of the batch can be dispatched now; ``batch`` is a column of the query."""
    return select(shards.c.id).where(shards.c.batch_id == batch, _is_ready()).exists()


def _is_ready() -> ColumnElement[bool]:
    return and_(
        shards.c.stage != "done",
        shards.c.registered,
        shards.c.token.is_(None),
        or_(shards.c.not_before.is_(None), shards.c.not_before <= func.now()),
    )


def in_flight(connection: Connection) -> dict[int, tuple[int, int]]:
    """Return, by batch, the number of shards that are dispatched or claimed, and the number of runs that claimed them."""
    rows = connection.execute(
        select(
            shards.c.batch_id,
            func.count().label("shards"),
            func.count(shards.c.run_id.distinct()).label("runs"),
        )
        .where(shards.c.token.is_not(None))
        .group_by(shards.c.batch_id)
    )
    return {row.batch_id: (row.shards, row.runs) for row in rows}


def unclaimed(connection: Connection) -> dict[tuple[str, Stage], list[Shard]]:
    """Return the shards that are dispatched and not claimed, by token and stage, oldest dispatch first."""
    rows = connection.execute(
        select(*_COLUMNS, shards.c.token)
        .where(shards.c.token.is_not(None), shards.c.run_id.is_(None))
        .order_by(shards.c.dispatched_at, shards.c.batch_id, shards.c.number)
    )
    found: dict[tuple[str, Stage], list[Shard]] = {}
    for row in rows:
        found.setdefault((row.token, row.stage), []).append(_shard(row._mapping))
    return found


def holders(connection: Connection, batch_id: int) -> list[str]:
    """Return the runs that have leases on shards of a batch; expired leases do not count."""
    return list(
        connection.scalars(
            select(shards.c.run_id)
            .where(shards.c.batch_id == batch_id, shards.c.token.is_not(None))
            .where(shards.c.lease_until > func.now())
            .distinct()
        )
    )


def count_files(connection: Connection, shard_ids: Sequence[int]) -> None:
    """Recompute the counters of shards from their files, in the transaction that changed the files."""
    connection.execute(
        text("""
            UPDATE stt_shards s
            SET transcribed = f.transcribed, completed = f.completed, failed = f.failed,
                audio_seconds = f.audio_seconds, probed_seconds = f.probed_seconds, failures = f.failures,
                undelivered = f.undelivered
            FROM (SELECT shard_id,
                         sum(transcribed) AS transcribed,
                         sum(completed) AS completed,
                         sum(failed) AS failed,
                         sum(audio_seconds) AS audio_seconds,
                         sum(probed_seconds) AS probed_seconds,
                         sum(undelivered) AS undelivered,
                         coalesce(jsonb_object_agg(error_class, failed) FILTER (WHERE failed > 0), '{}') AS failures
                  FROM (SELECT shard_id,
                               CASE WHEN status = 'failed' THEN error_class END AS error_class,
                               count(*) FILTER (WHERE CASE status WHEN 'pending' THEN EXISTS (
                                   SELECT FROM stt_transcriptions t
                                   WHERE t.audio_file_id = a.id AND t.created_at = a.created_at
                                     AND t.status <> 'outdated'
                               ) ELSE status <> 'failed' END) AS transcribed,
                               count(*) FILTER (WHERE status = 'success') AS completed,
                               count(*) FILTER (WHERE status = 'failed') AS failed,
                               count(*) FILTER (WHERE status = 'success' AND error_class = 'email') AS undelivered,
                               coalesce(sum(duration) FILTER (WHERE status = 'success'), 0) AS audio_seconds,
                               coalesce(sum(duration), 0) AS probed_seconds
                        FROM stt_audio_files a WHERE shard_id = ANY(:shards) GROUP BY 1, 2) by_class
                  GROUP BY shard_id) f
            WHERE s.id = f.shard_id
        """),
        {"shards": list(shard_ids)},
    )


def count_successes(connection: Connection, shard_id: int, *, files: int, audio_seconds: float) -> None:
    """Add successful files to the counters, in the transaction that sets the status of the files."""
    connection.execute(
        update(shards)
        .where(shards.c.id == shard_id)
        .values(completed=shards.c.completed + files, audio_seconds=shards.c.audio_seconds + audio_seconds)
    )


def with_failures(connection: Connection, batch_id: int, after: int, limit: int) -> list[Shard]:
    """Lock and return the next shards of a batch with a number above ``after`` that have failed files, or undelivered minutes."""
    rows = connection.execute(
        select(*_COLUMNS)
        .where(
            shards.c.batch_id == batch_id,
            shards.c.number > after,
            or_(shards.c.failed > 0, shards.c.undelivered > 0),
        )
        .order_by(shards.c.number)
        .limit(limit)
        .with_for_update()
    )
    return [_shard(row._mapping) for row in rows]


def of_batch(connection: Connection, batch_id: int, after: int, limit: int) -> list[Shard]:
    """Return the next shards of a batch with a number above ``after``, in order."""
    rows = connection.execute(
        select(*_COLUMNS)
        .where(shards.c.batch_id == batch_id, shards.c.number > after)
        .order_by(shards.c.number)
        .limit(limit)
    )
    return [_shard(row._mapping) for row in rows]


def delete(connection: Connection, shard_ids: Sequence[int]) -> None:
    """Delete shards and their files; delete the transcripts first, with ``transcriptions.delete_of_shards``."""
    connection.execute(delete_from(shards).where(shards.c.id.in_(shard_ids)))


def add_seconds(connection: Connection, shard_id: int, *, busy: float, transcribe: float) -> None:
    """Add work of threads, and time of the transcribe stage, to a shard."""
    busy_seconds, transcribe_seconds = shards.c.busy_seconds + busy, shards.c.transcribe_seconds + transcribe
    connection.execute(
        update(shards)
        .where(shards.c.id == shard_id)
        .values(busy_seconds=busy_seconds, transcribe_seconds=transcribe_seconds)
    )


def give_back(
    connection: Connection,
    lease: Lease,
    *,
    advance: bool,
    retry_seconds: float | None,
    next_stage_seconds: float,
) -> bool:
    """Release a lease and set the stage that the dispatcher starts next; return False if the lease goes on.

    Args:
        advance: False if the run failed. The shard then stays in its stage, even if all its files passed it, because
            other outputs of the stage, such as the Parquet file, may be missing.
        retry_seconds: delay before the next dispatch if the shard stays in its stage; None does not release it then.
        next_stage_seconds: delay before the next dispatch if the shard moves to the next stage.
    """
    row = connection.execute(
        text("""
            SELECT s.stage, s.tries, s.crashes,
                   coalesce(bool_or(f.status = 'pending'), false) AS pending,
                   coalesce(bool_or(f.status = 'transcribed'), false) AS transcribed
            FROM stt_shards s LEFT JOIN stt_audio_files f ON f.shard_id = s.id
            WHERE s.id = :shard GROUP BY s.id
        """),
        {"shard": lease.id},
    ).one()
    stage = next_stage(row.stage, pending=row.pending, transcribed=row.transcribed) if advance else row.stage
    stays = stage == row.stage
    if stays and retry_seconds is None:
        return False
    leases.release(
        connection,
        shards,
        lease,
        stage=stage,
        tries=row.tries if stays else 0,
        crashes=row.crashes if stays else 0,
        preemptions=shards.c.preemptions if stays else 0,
        active_file_id=None,
        wait_seconds=retry_seconds if stays else next_stage_seconds,
    )
    return True


def next_stage(stage: str, *, pending: bool, transcribed: bool) -> str:
    """Return the stage after a run on ``stage``, given whether ``pending`` or ``transcribed`` files are left.

    A shard passes through ``publish`` even if all its files failed, so that the partitions of one run are a contiguous
    range in the next run as well.
    """
    if pending:
        return "transcribe"
    return "publish" if transcribed or stage == "transcribe" else "done"


def open_again(connection: Connection, shard_ids: Sequence[int]) -> None:
    """Reopen shards after some of their files were reset: set the stage that the files wait for, and recount.

    A dispatch that no run has claimed is revoked, because it may be for another stage.
    """
    count_files(connection, shard_ids)
    connection.execute(
        text("""
            UPDATE stt_shards s
            SET stage = CASE WHEN EXISTS (SELECT FROM stt_audio_files f
                                          WHERE f.shard_id = s.id AND f.status = 'pending')
                             THEN 'transcribe' ELSE 'publish' END,
                tries = 0, crashes = 0, not_before = NULL,
                active_file_id = CASE WHEN run_id IS NOT NULL THEN active_file_id END,
                token = CASE WHEN run_id IS NOT NULL THEN token END
            WHERE id = ANY(:shards)
        """),
        {"shards": list(shard_ids)},
    )


def open_shard_of(batch: "int | ColumnElement[int]") -> Exists:
    """Return the condition that a shard of the batch is not done; ``batch`` is an id or a column of the query."""
    return select(shards.c.id).where(shards.c.batch_id == batch, shards.c.stage != "done").exists()


def has_open(connection: Connection, batch_id: int) -> bool:
    """Return whether a shard of the batch is not done."""
    return bool(connection.scalar(select(open_shard_of(batch_id))))


def batches_without_open_shards(connection: Connection) -> list[int]:
    """Return the ``processing`` batches whose shards are all done, with no retry in progress and no files to arrive."""
    return list(
        connection.scalars(
            select(batches.c.id).where(
                batches.c.stage == "shards",
                batches.c.status == "processing",
                batches.c.retry_after.is_(None),
                or_(batches.c.open_until.is_(None), batches.c.open_until <= func.now()),
                ~open_shard_of(batches.c.id),
            )
        )
    )
