"""Queries on ``stt_shards``: the ordered groups of audio files that runs work on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Exists, RowMapping, func, or_, select, text, update

from stt_pipeline.store import leases
from stt_pipeline.store.leases import Lease, LeaseState
from stt_pipeline.store.tables import batches, shards

Stage = Literal["transcribe", "publish"]


@dataclass(frozen=True, slots=True)
class Shard:
    """A row of ``stt_shards``, without its lease."""

    id: int
    batch_id: int
    number: int
    key: str
    stage: str
    total: int
    completed: int
    failed: int
    tries: int
    deaths: int
    file_in_hand: int | None


_COLUMNS = [shards.c[name] for name in Shard.__dataclass_fields__]


def _shard(row: RowMapping) -> Shard:
    return Shard(**{name: row[name] for name in Shard.__dataclass_fields__})


def add(connection: Connection, batch_id: int, rows: Iterable[tuple[int, str, int]]) -> dict[int, int]:
    """Insert shards given as (number, key, files in it); return the id of each number."""
    cursor = connection.connection.cursor()
    with cursor.copy("COPY stt_shards (batch_id, number, key, total, stage) FROM STDIN") as copy:
        for number, key, total in rows:
            copy.write_row((batch_id, number, key, total, "transcribe"))
    found = connection.execute(
        select(shards.c.number, shards.c.id).where(shards.c.batch_id == batch_id, ~shards.c.registered)
    )
    return {row.number: row.id for row in found}


def get(connection: Connection, shard_id: int) -> Shard:
    """Return one shard."""
    return _shard(connection.execute(select(*_COLUMNS).where(shards.c.id == shard_id)).one()._mapping)


def take_in_hand(connection: Connection, shard_id: int, file_id: int) -> None:
    """Remember which file is worked on, so that a death can be laid at its door."""
    connection.execute(update(shards).where(shards.c.id == shard_id).values(file_in_hand=file_id))


def forget_deaths(connection: Connection, shard_id: int) -> None:
    """Count deaths from the start again, after the file that caused them was failed."""
    connection.execute(update(shards).where(shards.c.id == shard_id).values(deaths=0, file_in_hand=None))


def close(connection: Connection, shard_id: int) -> None:
    """Mark a shard as done, whatever its files are."""
    connection.execute(update(shards).where(shards.c.id == shard_id).values(stage="done"))


def next_number(connection: Connection, batch_id: int) -> int:
    """Return the number of the batch's next shard."""
    highest = connection.scalar(select(func.max(shards.c.number)).where(shards.c.batch_id == batch_id))
    return 0 if highest is None else highest + 1


def unregistered_keys(connection: Connection, batch_id: int) -> list[str]:
    """Return the keys that Dagster does not know yet, in order of number."""
    return list(
        connection.scalars(
            select(shards.c.key)
            .where(shards.c.batch_id == batch_id, ~shards.c.registered)
            .order_by(shards.c.number)
        )
    )


def mark_registered(connection: Connection, keys: Sequence[str]) -> None:
    """Remember that Dagster knows these keys."""
    connection.execute(update(shards).where(shards.c.key.in_(keys)).values(registered=True))


def lock(connection: Connection, keys: Sequence[str]) -> list[tuple[Shard, LeaseState]]:
    """Lock the shards with these keys and return each with its lease, in order of id."""
    live = func.coalesce(shards.c.lease_until > func.now(), False).label("live")
    rows = connection.execute(
        select(*_COLUMNS, shards.c.token, shards.c.run_id, live)
        .where(shards.c.key.in_(keys))
        .order_by(shards.c.id)
        .with_for_update()
    )
    return [(_shard(row._mapping), LeaseState(row.token, row.run_id, row.live)) for row in rows]


def ready(connection: Connection, limit: int) -> list[Shard]:
    """Return free shards whose turn has come, by priority of their batch, then oldest batch and lowest number first."""
    rank = text("CASE stt_batches.priority WHEN 'high' THEN 0 WHEN 'normal' THEN 1 ELSE 2 END")
    rows = connection.execute(
        select(*_COLUMNS)
        .join(batches, batches.c.id == shards.c.batch_id)
        .where(batches.c.status == "processing", batches.c.stage == "shards")
        .where(shards.c.stage != "done", shards.c.registered, shards.c.token.is_(None))
        .where(or_(shards.c.not_before.is_(None), shards.c.not_before <= func.now()))
        .order_by(rank, shards.c.batch_id, shards.c.stage, shards.c.number)
        .limit(limit)
        .with_for_update(of=shards, skip_locked=True)
    )
    return [_shard(row._mapping) for row in rows]


def in_flight(connection: Connection) -> int:
    """Return how many shards are dispatched or being worked on."""
    return connection.scalar(select(func.count()).where(shards.c.token.is_not(None))) or 0


def unclaimed(connection: Connection) -> dict[tuple[str, Stage], list[Shard]]:
    """Return what was dispatched and not claimed yet, by token and stage, in order of number."""
    rows = connection.execute(
        select(*_COLUMNS, shards.c.token)
        .where(shards.c.token.is_not(None), shards.c.run_id.is_(None))
        .order_by(shards.c.batch_id, shards.c.number)
    )
    found: dict[tuple[str, Stage], list[Shard]] = {}
    for row in rows:
        found.setdefault((row.token, row.stage), []).append(_shard(row._mapping))
    return found


def count_files(connection: Connection, shard_ids: Sequence[int]) -> None:
    """Bring shards' counters in line with their files, in the transaction that changed the files."""
    connection.execute(
        text("""
            UPDATE stt_shards s
            SET completed = f.completed, failed = f.failed, audio_seconds = f.audio_seconds
            FROM (SELECT shard_id,
                         count(*) FILTER (WHERE status = 'success') AS completed,
                         count(*) FILTER (WHERE status = 'failed') AS failed,
                         coalesce(sum(duration) FILTER (WHERE status = 'success'), 0) AS audio_seconds
                  FROM stt_audio_files WHERE shard_id = ANY(:shards) GROUP BY shard_id) f
            WHERE s.id = f.shard_id
        """),
        {"shards": list(shard_ids)},
    )


def add_busy_seconds(connection: Connection, shard_id: int, seconds: float) -> None:
    """Count time that was spent on a shard."""
    connection.execute(
        update(shards).where(shards.c.id == shard_id).values(busy_seconds=shards.c.busy_seconds + seconds)
    )


def give_back(
    connection: Connection,
    lease: Lease,
    *,
    advance: bool,
    retry_seconds: float,
    next_stage_seconds: float,
) -> None:
    """End a lease, and let the dispatcher go on with the shard's next stage.

    Args:
        advance: False where the run failed: the stage is then done again, though all files may be through it, because
            something that belongs to it, such as its Parquet file, may be missing.
        retry_seconds: how long the dispatcher leaves the shard alone if it stays in its stage.
        next_stage_seconds: the same if it moves on.
    """
    row = connection.execute(
        text("""
            SELECT s.stage, s.tries, s.deaths,
                   coalesce(bool_or(f.status = 'pending'), false) AS pending,
                   coalesce(bool_or(f.status = 'transcribed'), false) AS transcribed
            FROM stt_shards s LEFT JOIN stt_audio_files f ON f.shard_id = s.id
            WHERE s.id = :shard GROUP BY s.id
        """),
        {"shard": lease.id},
    ).one()
    stage = next_stage(row.stage, pending=row.pending, transcribed=row.transcribed) if advance else row.stage
    stays = stage == row.stage
    leases.release(
        connection,
        shards,
        lease,
        stage=stage,
        tries=row.tries if stays else 0,
        deaths=row.deaths if stays else 0,
        file_in_hand=None,
        not_before=func.now() + timedelta(seconds=retry_seconds if stays else next_stage_seconds),
    )


def next_stage(stage: str, *, pending: bool, transcribed: bool) -> str:
    """Return the stage after a run on ``stage`` left files that are ``pending`` or ``transcribed``.

    A shard that has left ``transcribe`` passes through ``publish``, also when all its files failed, so that the
    partitions of one run stay neighbours in the next.
    """
    if pending:
        return "transcribe"
    return "publish" if transcribed or stage == "transcribe" else "done"


def open_again(connection: Connection, shard_id: int, stage: Stage) -> None:
    """Put a shard back into a stage, because some of its files got a new start."""
    connection.execute(
        update(shards)
        .where(shards.c.id == shard_id)
        .values(stage=stage, tries=0, deaths=0, file_in_hand=None)
    )


def open_shard_of(batch: "int | ColumnElement[int]") -> Exists:
    """Return the condition that a shard of the batch, given by id or by a column of the query, is not done."""
    return select(shards.c.id).where(shards.c.batch_id == batch, shards.c.stage != "done").exists()


def has_open(connection: Connection, batch_id: int) -> bool:
    """Return whether a shard of the batch is not done."""
    return bool(connection.scalar(select(open_shard_of(batch_id))))


def recount(connection: Connection, batch_id: int) -> None:
    """Bring the counters of all the batch's shards in line with their files."""
    ids = connection.scalars(select(shards.c.id).where(shards.c.batch_id == batch_id))
    count_files(connection, list(ids))


def batches_without_open_shards(connection: Connection) -> list[int]:
    """Return the batches in work of which every shard is done."""
    return list(
        connection.scalars(
            select(batches.c.id).where(
                batches.c.stage == "shards", batches.c.status == "processing", ~open_shard_of(batches.c.id)
            )
        )
    )
