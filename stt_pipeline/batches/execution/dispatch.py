"""The dispatcher: one tick turns rows of Postgres into orders for runs.

It has no state of its own. An order that no run has claimed is returned at each tick (Dagster drops repeats by run key).
The leases of a dead run expire; the tick ends the run, and its shards become free.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Literal, cast

from sqlalchemy import Connection

from stt_pipeline.batches.execution.crash_guard import is_last_attempt
from stt_pipeline.batches.execution.preemption import preempt
from stt_pipeline.batches.execution.run_size import SHARDS_PER_RUN, group_shards, shards_per_run
from stt_pipeline.batches.keys import BatchKey
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.queue import (
    batches,
    crashes,
    heartbeats,
    leases,
    locks,
    runs,
    shards,
    transitions,
)
from stt_pipeline.store.queue.batches import PRIORITIES, Priority
from stt_pipeline.store.queue.shards import Shard, Stage
from stt_pipeline.store.tables import batches as batches_table
from stt_pipeline.store.tables import shards as shards_table

OrderKind = Literal["scan", "transcribe", "publish", "report", "delete"]

HEARTBEAT = "dispatcher"
STALE_AFTER = timedelta(
    seconds=60
)  # a tick takes place every few seconds; after this time the daemon is not running
# a run that ends without a claim has failed to start: its machine may have failed, or a user has to repair something
_AFTER_FAILED_START_SECONDS = 5.0
_LONGEST_AFTER_FAILED_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Order:
    """A run to start: its job, its partitions in order, and the token that makes it start only once.

    Attributes:
        place: number of runs of the same batch before it. Of equal priority, lower places start first, so that batches
            take turns whatever the number of their waiting runs.
    """

    job: OrderKind
    token: str
    batch_id: int
    priority: Priority
    keys: tuple[str, ...]
    place: int = 0


def tick(
    database: Database,
    *,
    max_shards_in_flight: int,
    max_active_batches: int,
    max_attempts: int,
    run_slots: Mapping[Stage, int] = MappingProxyType({}),
    end_run: Callable[[str], object] | None = None,
) -> list[Order]:
    """Dispatch what is ready, and return every order that no run has claimed yet, also those of earlier ticks.

    Simultaneous calls take turns.

    Args:
        run_slots: how many runs of a stage can run at the same time; a stage that is missing has no known limit. Ready
            shards are divided among the slots that are free. If none is, a run of a lower priority is preempted.
        end_run: ends a run whose lease expired, given its id, before its shards are free; a run that hangs would keep
            what it occupies. None ends no run.
    """
    with database.begin() as connection:
        lost = leases.expired_runs(connection, shards_table) | leases.expired_runs(connection, batches_table)
    if end_run:
        for run_id in sorted(lost):
            end_run(run_id)
    with database.begin() as connection:
        locks.lock_dispatch(connection)
        heartbeats.beat(connection, HEARTBEAT)
        leases.release_expired(connection, batches_table, lost)
        for shard_ids in leases.release_expired(connection, shards_table, lost).values():
            _fail_crashing(connection, shard_ids, max_attempts)
        for batch_id in shards.batches_without_open_shards(connection):
            transitions.set_stage(connection, batch_id, "report")
        leases.dispatch_each(connection, batches_table, batches.ready(connection))
        _dispatch_shards(connection, max_shards_in_flight, max_active_batches, run_slots)
        if "transcribe" in run_slots:
            preempt(connection, run_slots["transcribe"])
        return _orders(connection)


def _dispatch_shards(
    connection: Connection, limit: int, max_active_batches: int, run_slots: Mapping[Stage, int]
) -> None:
    held = {batch_id: shards_held for batch_id, (shards_held, _) in shards.in_flight(connection).items()}
    free = limit - sum(held.values())
    if free <= 0:
        return
    active = batches.active(connection, max_active_batches)
    waiting = {batch_id: shards.ready(connection, batch_id, free) for batch_id, _ in active}
    shares = allocate_shards(
        free,
        priorities=dict(active),
        waiting={batch_id: len(found) for batch_id, found in waiting.items()},
        held=held,
    )
    chosen = [shard for batch_id, share in shares.items() for shard in waiting[batch_id][:share]]
    if chosen:
        for group in group_shards(chosen, shards_per_run(chosen, _free_slots(connection, run_slots))):
            leases.dispatch(connection, shards_table, [shard.id for shard in group])


def _free_slots(connection: Connection, run_slots: Mapping[Stage, int]) -> dict[Stage, int]:
    in_flight = Counter(run.stage for run in runs.in_flight(connection))
    return {stage: slots - in_flight[stage] for stage, slots in run_slots.items()}


def allocate_shards(
    free: int, *, priorities: Mapping[int, Priority], waiting: Mapping[int, int], held: Mapping[int, int]
) -> dict[int, int]:
    """Return how many more shards of each batch to dispatch.

    Higher priority comes first. Within a priority, the batch with the fewest shards in flight gets the next one. No batch
    may have more in flight than what is then left for others: a later batch always finds room, and does not wait behind
    the shards of one with millions of files.

    Args:
        free: how many shards may still be dispatched.
        priorities: the batches, in the order in which equals are served.
        waiting: how many shards of each batch are ready.
        held: how many shards of each batch are in flight.
    """
    shares: Counter[int] = Counter()
    for priority in PRIORITIES:
        members = [batch_id for batch_id, its in priorities.items() if its == priority]
        while free > 0:
            holds = {
                batch_id: held.get(batch_id, 0) + shares[batch_id]
                for batch_id in members
                if shares[batch_id] < waiting[batch_id]
            }
            needs_work = min(holds, key=lambda batch_id: holds[batch_id], default=None)
            if needs_work is None or holds[needs_work] >= free:
                break
            shares[needs_work] += 1
            free -= 1
    return dict(shares)


def revoke_order(database: Database, order: Order, reason: str) -> None:
    """Revoke an order whose run ended without a claim, so that a later tick makes a new one.

    Args:
        reason: shown on the batch, because a user has to repair something.
    """
    table = shards_table if order.job in SHARDS_PER_RUN else batches_table
    with database.begin() as connection:
        batches.set_error(connection, order.batch_id, reason)
        leases.revoke_token(
            connection,
            table,
            order.token,
            first_seconds=_AFTER_FAILED_START_SECONDS,
            longest_seconds=_LONGEST_AFTER_FAILED_START_SECONDS,
        )


def lease_holders(database: Database) -> set[str]:
    """Return the runs that have leases."""
    with database.begin() as connection:
        return leases.holders(connection, shards_table) | leases.holders(connection, batches_table)


def expire_leases(database: Database, run_id: str) -> None:
    """Let the leases of a run that has ended expire now; the next tick dispatches its shards again."""
    with database.begin() as connection:
        leases.expire(connection, batches_table, run_id)
        leases.expire(connection, shards_table, run_id)


def cancelled_batches(database: Database) -> list[int]:
    """Return the cancelled batches with runs to cancel; ``runs_ended`` removes a batch from this list."""
    with database.begin() as connection:
        return batches.being_cancelled(connection)


def runs_ended(database: Database, batch_id: int) -> None:
    """Record that every run of a cancelled batch has ended or was cancelled."""
    with database.begin() as connection:
        transitions.finish_cancel(connection, batch_id)


def paused_batches(database: Database) -> list[int]:
    """Return the paused batches; runs of their shards must not wait in the run queue."""
    with database.begin() as connection:
        return batches.paused(connection)


def _orders(connection: Connection) -> list[Order]:
    orders = [
        Order(cast(OrderKind, stage), token, batch_id, priority, (str(BatchKey(batch_id, name)),))
        for batch_id, name, stage, token, priority in batches.unclaimed(connection)
    ]
    unclaimed = shards.unclaimed(connection)
    priorities = batches.priorities(connection, {members[0].batch_id for members in unclaimed.values()})
    places = Counter({batch_id: runs for batch_id, (_, runs) in shards.in_flight(connection).items()})
    for (token, stage), members in unclaimed.items():
        batch_id = members[0].batch_id
        keys = tuple(member.key for member in members)
        orders.append(Order(stage, token, batch_id, priorities[batch_id], keys, places[batch_id]))
        places[batch_id] += 1
    return orders


def _fail_crashing(connection: Connection, shard_ids: Sequence[int], max_attempts: int) -> None:
    """Fail what crashes its runs again and again, given the shards of a dead run.

    If the run was careful and had marked an active file, the crash is due to that file, and not to the other shards.
    """
    held = [shards.get(connection, shard_id) for shard_id in shard_ids]
    suspects = [shard for shard in held if shard.active_file_id is not None] or held
    innocent = [shard.id for shard in held if shard not in suspects]
    if innocent:
        crashes.undo_crash(connection, innocent)
    for shard in suspects:
        if is_last_attempt(shard.crashes - 1, max_attempts):
            _fail_files(connection, shard)
    crashes.clear_active_file(connection, shard_ids)


def _fail_files(connection: Connection, shard: Shard) -> None:
    """Fail the active file of a shard; without one, all files of the shard that have not ended."""
    files.fail_open(
        connection,
        shard.id,
        f"The worker crashed or stopped responding {shard.crashes} times while processing it. "
        "See the logs of these runs in the Dagster UI, then retry it.",
        only=shard.active_file_id,
    )
    shards.count_files(connection, [shard.id])
    if shard.active_file_id is None:
        shards.close(connection, shard.id)
    else:
        crashes.reset_crashes(connection, shard.id)
