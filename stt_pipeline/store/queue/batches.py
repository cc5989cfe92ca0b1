"""Queries on ``stt_batches``: one row for each request to process a source.

Changes of a batch's status are in ``transitions``.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, case, func, insert, or_, select, update
from sqlalchemy import delete as delete_from

from stt_pipeline.errors import NotFoundError
from stt_pipeline.store.queue.leases import LeaseState
from stt_pipeline.store.queue.shards import has_ready
from stt_pipeline.store.tables import batches, shards, throughput

Status = Literal[
    "pending", "scanning", "processing", "paused", "completed", "failed", "cancelled", "deleting"
]
Priority = Literal["high", "normal", "low"]

PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")
"""The priorities of batches, the highest first."""

priority_rank = case({name: rank for rank, name in enumerate(PRIORITIES)}, value=batches.c.priority)
"""The place of a batch in ``PRIORITIES``, for queries."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A row of ``stt_batches``. ``total_files`` is None until the first scan has ended.

    A batch of a watch accepts new files until ``open_until`` and cannot end before. ``partition_name`` is part of its key in
    Dagster, and never changes.
    """

    id: int
    name: str
    partition_name: str
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
    scanned_at: datetime | None
    completed_at: datetime | None
    retired_at: datetime | None
    error: str | None
    watch_id: int | None
    open_until: datetime | None


_COLUMNS = [batches.c[name] for name in Batch.__dataclass_fields__]


def _batch(row: Row[Any]) -> Batch:
    return Batch(**{**row._mapping, "notify_emails": tuple(row.notify_emails)})


def create(
    connection: Connection,
    request: Mapping[str, Any],
    *,
    partition_name: str,
    created_by: str,
    watch_id: int | None = None,
    open_until: datetime | None = None,
) -> Batch:
    """Insert a batch whose source is to be scanned.

    Args:
        request: values of the columns that a ``BatchRequest`` has.
        partition_name: the name in the batch's key.
    """
    row = connection.execute(
        insert(batches)
        .values(
            **request,
            partition_name=partition_name,
            created_by=created_by,
            stage="scan",
            watch_id=watch_id,
            open_until=open_until,
        )
        .returning(*_COLUMNS)
    ).one()
    return _batch(row)


def get(connection: Connection, batch_id: int) -> Batch:
    """Return one batch.

    Raises:
        NotFoundError: the batch does not exist.
    """
    row = connection.execute(select(*_COLUMNS).where(batches.c.id == batch_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"Batch {batch_id} does not exist. `stt batch list` shows the batches.")
    return _batch(row)


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on a list of batches; None means no condition.

    Attributes:
        created_by: equal to :attr:`Batch.created_by`.
        created_from: created at this time or later.
        created_before: created before this time.
        name: substring of the batch's name, case-insensitive.
    """

    status: Status | None = None
    priority: Priority | None = None
    created_by: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    name: str | None = None


ANY = Filter()


def latest(
    connection: Connection, limit: int, *, before: int | None = None, filters: Filter = ANY
) -> list[Batch]:
    """Return the newest batches, newest first; ``before`` is the last id of the previous page."""
    chosen = select(*_COLUMNS).order_by(batches.c.id.desc()).limit(limit)
    for column in (batches.c.status, batches.c.priority, batches.c.created_by):
        if (value := getattr(filters, column.name)) is not None:
            chosen = chosen.where(column == value)
    if filters.created_from is not None:
        chosen = chosen.where(batches.c.created_at >= filters.created_from)
    if filters.created_before is not None:
        chosen = chosen.where(batches.c.created_at < filters.created_before)
    if filters.name is not None:
        chosen = chosen.where(batches.c.name.icontains(filters.name, autoescape=True))
    if before is not None:
        chosen = chosen.where(batches.c.id < before)
    return [_batch(row) for row in connection.execute(chosen)]


def count_by_status(connection: Connection) -> dict[Status, int]:
    """Return the number of batches of each status."""
    rows = connection.execute(
        select(batches.c.status, func.count().label("batches")).group_by(batches.c.status)
    )
    return {row.status: row.batches for row in rows}


def active(connection: Connection, limit: int) -> list[tuple[int, Priority]]:
    """Return (id, priority) of at most ``limit`` batches whose shards can be dispatched now.

    Order: higher priority first, then batches with shards in flight, then older ones. A batch whose shards all wait
    for a retry is not returned, so that it does not take one of the places.
    """
    held = (
        select(shards.c.batch_id, func.count().label("shards"))
        .where(shards.c.token.is_not(None))
        .group_by(shards.c.batch_id)
        .subquery()
    )
    is_in_flight = held.c.shards.is_not(None)
    rows = connection.execute(
        select(batches.c.id, batches.c.priority)
        .outerjoin(held, held.c.batch_id == batches.c.id)
        .where(batches.c.status == "processing", batches.c.stage == "shards")
        .where(or_(is_in_flight, has_ready(batches.c.id)))
        .order_by(priority_rank, is_in_flight.desc(), batches.c.id)
        .limit(limit)
    )
    return [(row.id, row.priority) for row in rows]


def priorities(connection: Connection, batch_ids: Collection[int]) -> dict[int, Priority]:
    """Return the priority of each of some batches, by id."""
    rows = connection.execute(select(batches.c.id, batches.c.priority).where(batches.c.id.in_(batch_ids)))
    return {row.id: row.priority for row in rows}


def ready(connection: Connection) -> list[int]:
    """Lock and return the free batches that wait for a run on the whole batch: scan, report or deletion."""
    return list(
        connection.scalars(
            select(batches.c.id)
            .where(batches.c.stage.in_(("scan", "report", "delete")), batches.c.token.is_(None))
            .where(batches.c.status.in_(("pending", "scanning", "processing", "deleting")))
            .where(or_(batches.c.not_before.is_(None), batches.c.not_before <= func.now()))
            .order_by(batches.c.id)
            .with_for_update(skip_locked=True)
        )
    )


def overdue_reports(connection: Connection, since: datetime) -> list[Batch]:
    """Return the active batches that wait for their report, and of which nothing happened since a time, in order of id."""
    worked_at = select(func.max(throughput.c.minute)).where(throughput.c.batch_id == batches.c.id)
    last = func.greatest(worked_at.scalar_subquery(), batches.c.scanned_at, batches.c.open_until)
    rows = connection.execute(
        select(*_COLUMNS)
        .where(batches.c.stage == "report", batches.c.status == "processing", last < since)
        .order_by(batches.c.id)
    )
    return [_batch(row) for row in rows]


def unclaimed(connection: Connection) -> list[tuple[int, str, str, str, Priority]]:
    """Return (id, partition name, stage, token, priority) of the batches that are dispatched, and not claimed by a run."""
    rows = connection.execute(
        select(batches.c.id, batches.c.partition_name, batches.c.stage, batches.c.token, batches.c.priority)
        .where(batches.c.stage.in_(("scan", "report", "delete")))
        .where(batches.c.token.is_not(None), batches.c.run_id.is_(None))
        .order_by(batches.c.id)
    )
    return [(row.id, row.partition_name, row.stage, row.token, row.priority) for row in rows]


def set_files_per_shard(connection: Connection, batch_id: int, files_per_shard: int) -> None:
    """Set the maximum number of files in each new shard of the batch."""
    connection.execute(
        update(batches).where(batches.c.id == batch_id).values(files_per_shard=files_per_shard)
    )


def change(connection: Connection, batch_id: int, values: Mapping[str, Any]) -> None:
    """Write new values of the columns that a ``BatchChange`` has."""
    connection.execute(update(batches).where(batches.c.id == batch_id).values(**values))


def request_retry(connection: Connection, batch_id: int, error_class: str | None) -> None:
    """Record that failed files of the batch are to be retried: those of one error class, or all (None)."""
    connection.execute(
        update(batches).where(batches.c.id == batch_id).values(retry_class=error_class, retry_after=-1)
    )


def pending_retries(connection: Connection) -> list[tuple[int, str | None, int]]:
    """Return (id, error class, number of the last shard that is done) of the batches with a retry in progress."""
    rows = connection.execute(
        select(batches.c.id, batches.c.retry_class, batches.c.retry_after)
        .where(batches.c.retry_after.is_not(None))
        .order_by(batches.c.id)
    )
    return [(row.id, row.retry_class, row.retry_after) for row in rows]


def save_retry_position(connection: Connection, batch_id: int, after: int | None) -> None:
    """Record the number of the last shard that a retry has processed; None ends the retry."""
    connection.execute(update(batches).where(batches.c.id == batch_id).values(retry_after=after))


def paused(connection: Connection) -> list[int]:
    """Return the ids of the paused batches."""
    return list(connection.scalars(select(batches.c.id).where(batches.c.status == "paused")))


def being_cancelled(connection: Connection) -> list[int]:
    """Return the cancelled batches whose runs are not terminated yet."""
    return list(
        connection.scalars(select(batches.c.id).where(batches.c.stage == "cancel").order_by(batches.c.id))
    )


def to_retire(connection: Connection, days: int, limit: int) -> list[int]:
    """Return batches that ended more than ``days`` days ago and whose partitions are not retired, oldest first."""
    return list(
        connection.scalars(
            select(batches.c.id)
            .where(batches.c.completed_at < func.now() - timedelta(days=days))
            .where(batches.c.retired_at.is_(None), batches.c.stage == "done")
            .order_by(batches.c.completed_at)
            .limit(limit)
        )
    )


def mark_retired(connection: Connection, batch_id: int) -> None:
    """Record that the batch's partitions are deleted from Dagster, unless the batch was reopened meanwhile."""
    connection.execute(
        update(batches)
        .where(batches.c.id == batch_id, batches.c.stage == "done")
        .values(retired_at=func.now())
    )


def delete(connection: Connection, batch_id: int) -> None:
    """Delete a batch with the rows that refer to it: report mails and throughput."""
    connection.execute(delete_from(batches).where(batches.c.id == batch_id))


def set_error(connection: Connection, batch_id: int, error: str | None) -> None:
    """Set the error that the batch shows while it makes no progress; None clears it. A cancelled batch is skipped."""
    connection.execute(
        update(batches).where(batches.c.id == batch_id, batches.c.status != "cancelled").values(error=error)
    )


def known_ids(connection: Connection, batch_ids: Collection[int]) -> set[int]:
    """Return those of ``batch_ids`` that are ids of batches."""
    return set(connection.scalars(select(batches.c.id).where(batches.c.id.in_(batch_ids))))


def lock(connection: Connection, batch_id: int) -> tuple[Batch, LeaseState]:
    """Lock one batch until the end of the transaction and return it with its lease.

    Raises:
        NotFoundError: the batch does not exist.
    """
    live = func.coalesce(batches.c.lease_until > func.now(), False).label("live")
    row = connection.execute(
        select(batches.c.token, batches.c.run_id, live)
        .where(batches.c.id == batch_id)
        .with_for_update(key_share=True)
    ).one_or_none()
    batch = get(connection, batch_id)
    assert row is not None  # get() would have raised
    return batch, LeaseState(row.token, row.run_id, row.live)


def lock_of_shards(connection: Connection, keys: Collection[str]) -> None:
    """Lock the batches of some shards until the end of the transaction, before the shards: see ``leases``."""
    connection.execute(
        select(batches.c.id)
        .where(batches.c.id.in_(select(shards.c.batch_id).where(shards.c.key.in_(keys))))
        .order_by(batches.c.id)
        .with_for_update(key_share=True)
    )
