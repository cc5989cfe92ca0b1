"""Queries on ``stt_batches``: one row for each request to process a source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Case, Connection, Row, case, func, insert, or_, select, update

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.store.leases import LeaseState
from stt_pipeline.store.shards import open_shard_of
from stt_pipeline.store.tables import batches

Status = Literal[
    "pending", "scanning", "processing", "paused", "completed", "failed", "cancelled", "deleting"
]
Priority = Literal["high", "normal", "low"]

_INTAKE_LOCK = 0x5354_5402  # "STT", 2: one intake inserts partitions at a time


@dataclass(frozen=True, slots=True)
class Batch:
    """A row of ``stt_batches``. ``total_files`` is None until the source was scanned."""

    id: int
    name: str
    source_path: str
    file_pattern: str
    status: Status
    priority: Priority
    stage: str
    tries: int
    total_files: int | None
    files_per_shard: int | None
    notify_emails: tuple[str, ...]
    options: Mapping[str, Any]
    created_by: str
    created_at: datetime
    completed_at: datetime | None
    error: str | None


_COLUMNS = [batches.c[name] for name in Batch.__dataclass_fields__]


def _unless_paused(status: str) -> Case[str]:
    return case((batches.c.status == "paused", "paused"), else_=status)


def _batch(row: Row[Any]) -> Batch:
    return Batch(**{**row._mapping, "notify_emails": tuple(row.notify_emails)})


def create(
    connection: Connection,
    *,
    name: str,
    source_path: str,
    file_pattern: str,
    priority: Priority,
    notify_emails: Sequence[str],
    options: Mapping[str, Any],
    created_by: str,
) -> Batch:
    """Insert a batch that waits for its intake."""
    row = connection.execute(
        insert(batches)
        .values(
            name=name,
            source_path=source_path,
            file_pattern=file_pattern,
            priority=priority,
            notify_emails=list(notify_emails),
            options=dict(options),
            created_by=created_by,
            stage="intake",
        )
        .returning(*_COLUMNS)
    ).one()
    return _batch(row)


def get(connection: Connection, batch_id: int) -> Batch:
    """Return one batch.

    Raises:
        InvalidRequestError: there is no such batch.
    """
    row = connection.execute(select(*_COLUMNS).where(batches.c.id == batch_id)).one_or_none()
    if row is None:
        raise InvalidRequestError(f"There is no batch {batch_id}. `stt batch list` shows the batches.")
    return _batch(row)


def latest(connection: Connection, limit: int) -> list[Batch]:
    """Return the newest batches, newest first."""
    rows = connection.execute(select(*_COLUMNS).order_by(batches.c.id.desc()).limit(limit))
    return [_batch(row) for row in rows]


def ready(connection: Connection) -> list[int]:
    """Return the batches that wait for their intake or their report and that no run has."""
    return list(
        connection.scalars(
            select(batches.c.id)
            .where(batches.c.stage.in_(("intake", "report")), batches.c.token.is_(None))
            .where(batches.c.status.in_(("pending", "scanning", "processing")))
            .where(or_(batches.c.not_before.is_(None), batches.c.not_before <= func.now()))
            .order_by(batches.c.id)
            .with_for_update(skip_locked=True)
        )
    )


def unclaimed(connection: Connection) -> list[tuple[int, str, str, Priority]]:
    """Return (id, stage, token, priority) of the batches that were dispatched and that no run has claimed yet."""
    rows = connection.execute(
        select(batches.c.id, batches.c.stage, batches.c.token, batches.c.priority)
        .where(batches.c.stage != "done", batches.c.token.is_not(None), batches.c.run_id.is_(None))
        .order_by(batches.c.id)
    )
    return [(row.id, row.stage, row.token, row.priority) for row in rows]


def set_stage(connection: Connection, batch_id: int, stage: Literal["intake", "shards", "report"]) -> None:
    """Write what the batch as a whole waits for next."""
    connection.execute(update(batches).where(batches.c.id == batch_id).values(stage=stage))


def start_scan(connection: Connection, batch_id: int) -> None:
    """Mark that the batch's source is being listed; a scan that dies is ordered again, of a paused batch later."""
    connection.execute(
        update(batches)
        .where(batches.c.id == batch_id)
        .values(status=_unless_paused("scanning"), stage="intake", error=None)
    )


def finish_scan(connection: Connection, batch_id: int, total_files: int, files_per_shard: int) -> None:
    """Open the batch's shards for work, unless somebody paused it."""
    connection.execute(
        update(batches)
        .where(batches.c.id == batch_id)
        .values(
            status=_unless_paused("processing"),
            total_files=total_files,
            files_per_shard=files_per_shard,
            scanned_at=func.now(),
            completed_at=case((open_shard_of(batch_id), None), else_=batches.c.completed_at),
            stage="shards",
        )
    )


def give_up_scan(connection: Connection, batch_id: int, error: str) -> None:
    """Go on with the files that earlier scans found, and show why this one found none."""
    connection.execute(
        update(batches)
        .where(batches.c.id == batch_id)
        .values(status=_unless_paused("processing"), stage="shards", error=error)
    )


def fail(connection: Connection, batch_id: int, error: str) -> None:
    """End a batch that has no files as failed."""
    connection.execute(
        update(batches)
        .where(batches.c.id == batch_id)
        .values(status="failed", stage="done", error=error, completed_at=func.now())
    )


def reopen(connection: Connection, batch_id: int) -> None:
    """Take a batch that has ended, or is about to, back into work: some of its files got a new start."""
    ended = or_(batches.c.status.in_(("completed", "failed")), batches.c.stage == "report")
    connection.execute(
        update(batches)
        .where(batches.c.id == batch_id, ended)
        .values(status=_unless_paused("processing"), stage="shards", completed_at=None)
    )


def note_error(connection: Connection, batch_id: int, error: str | None) -> None:
    """Show people why the batch does not move at the moment; None takes the note away."""
    connection.execute(update(batches).where(batches.c.id == batch_id).values(error=error))


def close(connection: Connection, batch_id: int, status: Literal["completed", "failed"]) -> None:
    """End the batch after its report, unless one of its shards was opened again meanwhile."""
    connection.execute(
        update(batches)
        .where(batches.c.id == batch_id, ~open_shard_of(batch_id))
        .values(
            status=status,
            stage="done",
            error=None,
            completed_at=func.coalesce(batches.c.completed_at, func.now()),
        )
    )


def lock(connection: Connection, batch_id: int) -> tuple[Batch, LeaseState]:
    """Lock one batch until the end of the transaction and return it with its lease.

    Raises:
        InvalidRequestError: there is no such batch.
    """
    live = func.coalesce(batches.c.lease_until > func.now(), False).label("live")
    row = connection.execute(
        select(batches.c.token, batches.c.run_id, live).where(batches.c.id == batch_id).with_for_update()
    ).one_or_none()
    batch = get(connection, batch_id)
    assert row is not None  # get() would have raised
    return batch, LeaseState(row.token, row.run_id, row.live)


def lock_intake(connection: Connection) -> None:
    """Wait until no other intake inserts partitions, and keep others out until ``connection`` is closed.

    A range of dynamic partitions is a range in order of insertion, so two batches must not insert side by side.
    """
    connection.execute(select(func.pg_advisory_lock(_INTAKE_LOCK)))


def unlock_intake(connection: Connection) -> None:
    """Let the next intake insert its partitions."""
    connection.execute(select(func.pg_advisory_unlock(_INTAKE_LOCK)))
