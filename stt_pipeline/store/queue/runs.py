"""Queries on the runs over shards, as the leases of ``stt_shards`` show them: which are in flight, and which are preempted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Text, cast, func, select, update

from stt_pipeline.store.queue import leases
from stt_pipeline.store.queue.batches import PRIORITIES, Priority, priority_rank
from stt_pipeline.store.queue.leases import Lease
from stt_pipeline.store.queue.shards import Stage
from stt_pipeline.store.tables import batches, shards

_MOST_COUNTED = 100  # the counter is a smallint


@dataclass(frozen=True, slots=True)
class RunInFlight:
    """A run over shards: one that waits for its start (``run_id`` is None), or one that has claimed them.

    Attributes:
        priority: the highest priority of its batches.
        dispatched_at: None for a run that a user started.
        preempted: the dispatcher has told it to hand its shards back.
        preemptions: how often a shard of it was handed back in this stage, at most.
    """

    stage: Stage
    run_id: str | None
    priority: Priority
    dispatched_at: datetime | None
    preempted: bool
    preemptions: int


def in_flight(connection: Connection) -> list[RunInFlight]:
    """Return the runs that are dispatched or have claimed shards."""
    run = func.coalesce(shards.c.run_id, cast(shards.c.token, Text))
    rows = connection.execute(
        select(
            shards.c.stage,
            func.max(shards.c.run_id).label("run_id"),
            func.min(priority_rank).label("rank"),
            func.max(shards.c.dispatched_at).label("dispatched_at"),
            func.coalesce(func.bool_or(_is_preempted()), False).label("preempted"),
            func.max(shards.c.preemptions).label("preemptions"),
        )
        .join(batches, batches.c.id == shards.c.batch_id)
        .where(shards.c.token.is_not(None))
        .group_by(shards.c.stage, run)
    )
    return [
        RunInFlight(
            row.stage,
            row.run_id,
            PRIORITIES[row.rank],
            row.dispatched_at,
            row.preempted,
            row.preemptions,
        )
        for row in rows
    ]


def preempt(connection: Connection, run_id: str) -> None:
    """Tell a run to hand its shards back. The mark ends with the token of the lease."""
    connection.execute(
        update(shards)
        .where(shards.c.token.is_not(None), shards.c.run_id == run_id)
        .values(preempted_token=shards.c.token)
    )


def preempted(connection: Connection, held: Sequence[Lease]) -> set[int]:
    """Return the ids of the shards that a run is to hand back."""
    return set(
        connection.scalars(
            select(shards.c.id).where(shards.c.id.in_([lease.id for lease in held]), _is_preempted())
        )
    )


def _is_preempted() -> ColumnElement[bool]:
    return shards.c.preempted_token == shards.c.token


def hand_back(connection: Connection, lease: Lease, *, preempted: bool = False) -> None:
    """Release a shard that a run has not finished, to be dispatched again at once. It counts as no attempt."""
    leases.release(
        connection,
        shards,
        lease,
        not_before=None,
        tries=func.greatest(shards.c.tries - 1, 0),
        preemptions=func.least(shards.c.preemptions + int(preempted), _MOST_COUNTED),
        active_file_id=None,
    )
