"""What to run next: one tick of the dispatcher turns rows of Postgres into orders for runs.

The dispatcher owns no state of its own: an order that was not claimed is given again until it is (the runner drops
repeats by token), and what a dead run held comes back when its lease runs out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, cast

from sqlalchemy import Connection

from stt_pipeline.batches.execution.shard_claims import is_last_chance
from stt_pipeline.batches.keys import batch_key
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.queue import batch_stats, batches, crashes, heartbeats, leases, shards, transitions
from stt_pipeline.store.queue.batches import Priority
from stt_pipeline.store.queue.shards import Shard
from stt_pipeline.store.tables import batches as batches_table
from stt_pipeline.store.tables import shards as shards_table

OrderKind = Literal["intake", "transcribe", "publish", "report", "delete"]

HEARTBEAT = "dispatcher"
STALE_AFTER = timedelta(seconds=60)  # it ticks every few seconds; one that has not for so long does not run
# one run holds one model load: many short shards share it, while a large shard has a run of its own
SHARDS_PER_RUN: dict[str, int] = {"transcribe": 50, "publish": 100}
_FILES_PER_RUN = 2_000
_BYTES_PER_RUN = 4 << 30
# a run that ends before it claims anything could not start at all
_AFTER_FAILED_START_SECONDS = 60.0
_PRIORITIES: Sequence[Priority] = ("high", "normal", "low")


@dataclass(frozen=True, slots=True)
class Order:
    """One run to start: its job, its partitions in order, and the token that makes it start only once.

    Attributes:
        place: how many runs of the same batch are before it. Of equal priority, the runner takes lower places first, so
            that batches take turns however many runs each has waiting.
    """

    job: OrderKind
    token: str
    batch_id: int
    priority: Priority
    keys: tuple[str, ...]
    place: int = 0


def tick(
    database: Database, *, max_shards_in_flight: int, max_active_batches: int, max_attempts: int
) -> list[Order]:
    """Do one round of dispatching and return every order that no run has claimed yet, the repeated ones included.

    Two dispatchers at once take turns.
    """
    with database.begin() as connection:
        batches.lock_dispatch(connection)
        heartbeats.beat(connection, HEARTBEAT)
        leases.release_expired(connection, batches_table)
        for shard_ids in leases.release_expired(connection, shards_table).values():
            _judge(connection, shard_ids, max_attempts)
        for batch_id in shards.batches_without_open_shards(connection):
            transitions.set_stage(connection, batch_id, "report")
        leases.dispatch_each(connection, batches_table, batches.ready(connection))
        _dispatch_shards(connection, max_shards_in_flight, max_active_batches)
        return _orders(connection)


def _dispatch_shards(connection: Connection, limit: int, max_active_batches: int) -> None:
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
    for batch_id, share in shares.items():
        for group in group_shards(waiting[batch_id][:share]):
            leases.dispatch(connection, shards_table, [shard.id for shard in group])


def allocate_shards(
    free: int, *, priorities: Mapping[int, Priority], waiting: Mapping[int, int], held: Mapping[int, int]
) -> dict[int, int]:
    """Return how many more shards each batch may have in flight.

    Higher priority comes first. Within a priority the batch that holds least gets the next one. No batch may hold more
    than what is then left for others: a batch that comes later always finds room, and does not wait behind the shards of
    one with millions of files.

    Args:
        free: how many shards may still be dispatched.
        priorities: the batches, in the order in which equals are served.
        waiting: how many shards of each could be dispatched now.
        held: how many of each are in flight.
    """
    shares: Counter[int] = Counter()
    for priority in _PRIORITIES:
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
    """Take back an order whose run ended without claiming it, so that a later tick gives a new one.

    Args:
        reason: shown on the batch, because something is broken that needs a person.
    """
    table = shards_table if order.job in SHARDS_PER_RUN else batches_table
    with database.begin() as connection:
        batches.set_error(connection, order.batch_id, reason)
        leases.revoke_token(connection, table, order.token, wait_seconds=_AFTER_FAILED_START_SECONDS)


def cancelled_batches(database: Database) -> list[int]:
    """Return the cancelled batches whose runs are to be ended; ``runs_ended`` takes one off the list."""
    with database.begin() as connection:
        return batches.being_cancelled(connection)


def runs_ended(database: Database, batch_id: int) -> None:
    """Note that every run of a cancelled batch has ended or was told to."""
    with database.begin() as connection:
        transitions.finish_cancel(connection, batch_id)


def paused_batches(database: Database) -> list[int]:
    """Return the batches of which nothing is dispatched, so that no run of their shards needs to wait in a queue."""
    with database.begin() as connection:
        return batches.paused(connection)


def group_shards(ready: Sequence[Shard]) -> list[list[Shard]]:
    """Cut shards, given in order, into runs: neighbours of one batch and stage, bounded in shards, files and bytes."""
    groups: list[list[Shard]] = []
    for shard in ready:
        group = groups[-1] if groups else []
        fits = (
            bool(group)
            and (group[-1].batch_id, group[-1].stage, group[-1].number + 1)
            == (shard.batch_id, shard.stage, shard.number)
            and len(group) < SHARDS_PER_RUN[shard.stage]
            and sum(member.total for member in group) + shard.total <= _FILES_PER_RUN
            and sum(member.bytes for member in group) + shard.bytes <= _BYTES_PER_RUN
        )
        if fits:
            group.append(shard)
        else:
            groups.append([shard])
    return groups


def _orders(connection: Connection) -> list[Order]:
    orders = [
        Order(cast(OrderKind, stage), token, batch_id, priority, (batch_key(batch_id),))
        for batch_id, stage, token, priority in batches.unclaimed(connection)
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


def _judge(connection: Connection, shard_ids: Sequence[int], max_attempts: int) -> None:
    """Give up on what takes down runs again and again, given the shards that a dead run held.

    Where it was careful, and had a file in hand, it died of that one, and its other shards have nothing to do with it.
    """
    held = [shards.get(connection, shard_id) for shard_id in shard_ids]
    blamed = [shard for shard in held if shard.active_file_id is not None] or held
    innocent = [shard.id for shard in held if shard not in blamed]
    if innocent:
        crashes.undo_crash(connection, innocent)
    for shard in blamed:
        if is_last_chance(shard.crashes - 1, max_attempts):
            _give_up_on_deadly(connection, shard)
    crashes.clear_active_file(connection, shard_ids)


def _give_up_on_deadly(connection: Connection, shard: Shard) -> None:
    """Fail the file in hand of a shard that takes down its runs; where there is none, all that is left of it."""
    failed = files.fail_open(
        connection,
        shard.id,
        f"The worker died or fell silent {shard.crashes} times while working on it. "
        "Look at the runs' logs in the Dagster UI, then retry it.",
        only=shard.active_file_id,
    )
    shards.count_files(connection, [shard.id])
    batch_stats.add_throughput(connection, shard.batch_id, files=failed, audio_seconds=0.0)
    if shard.active_file_id is None:
        shards.close(connection, shard.id)
    else:
        crashes.reset_crashes(connection, shard.id)
