"""What to run next: one tick of the dispatcher turns rows of Postgres into orders for runs.

The dispatcher owns no state of its own: an order that was not claimed is given again until it is (the runner drops
repeats by token), and what a dead run held comes back when its lease runs out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import Connection

from stt_pipeline.batches.keys import batch_key
from stt_pipeline.store import batches, counters, files, leases, shards
from stt_pipeline.store.database import Database
from stt_pipeline.store.shards import Shard
from stt_pipeline.store.tables import batches as batches_table
from stt_pipeline.store.tables import shards as shards_table

Job = Literal["intake", "transcribe", "publish", "report"]

HEARTBEAT = "dispatcher"
# one run holds one model load: many short shards share it, while a large shard has a run of its own
SHARDS_PER_RUN: dict[str, int] = {"transcribe": 50, "publish": 100}
_FILES_PER_RUN = 500
# a run that ends before it claims anything could not start at all
_AFTER_FAILED_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Order:
    """One run to start: its job, its partitions in order, and the token that makes it start only once."""

    job: Job
    token: str
    batch_id: int
    priority: batches.Priority
    keys: tuple[str, ...]


def tick(database: Database, *, max_shards_in_flight: int, max_attempts: int) -> list[Order]:
    """Do one round of dispatching and return every order that no run has claimed yet, the repeated ones included."""
    with database.begin() as connection:
        counters.beat(connection, HEARTBEAT)
        leases.retire_expired(connection, batches_table)
        for shard_id in leases.retire_expired(connection, shards_table):
            _give_up_on_deadly(connection, shard_id, max_attempts)
        for batch_id in shards.batches_without_open_shards(connection):
            batches.set_stage(connection, batch_id, "report")
        leases.dispatch_each(connection, batches_table, batches.ready(connection))
        free = max_shards_in_flight - shards.in_flight(connection)
        if free > 0:
            for group in group_shards(shards.ready(connection, free)):
                leases.dispatch(connection, shards_table, [shard.id for shard in group])
        return _orders(connection)


def retire(database: Database, order: Order, reason: str) -> None:
    """Take back an order whose run ended without claiming it, so that a later tick gives a new one.

    Args:
        reason: shown on the batch, because something is broken that needs a person.
    """
    table = shards_table if order.job in SHARDS_PER_RUN else batches_table
    with database.begin() as connection:
        leases.retire_token(connection, table, order.token, wait_seconds=_AFTER_FAILED_START_SECONDS)
        batches.note_error(connection, order.batch_id, reason)


def group_shards(ready: Sequence[Shard]) -> list[list[Shard]]:
    """Cut shards, given in order, into runs: neighbours of one batch and stage, bounded in shards and files."""
    groups: list[list[Shard]] = []
    for shard in ready:
        group = groups[-1] if groups else []
        fits = (
            bool(group)
            and (group[-1].batch_id, group[-1].stage, group[-1].number + 1)
            == (shard.batch_id, shard.stage, shard.number)
            and len(group) < SHARDS_PER_RUN[shard.stage]
            and sum(member.total for member in group) + shard.total <= _FILES_PER_RUN
        )
        if fits:
            group.append(shard)
        else:
            groups.append([shard])
    return groups


def _orders(connection: Connection) -> list[Order]:
    orders = [
        Order("intake" if stage == "intake" else "report", token, batch_id, priority, (batch_key(batch_id),))
        for batch_id, stage, token, priority in batches.unclaimed(connection)
    ]
    for (token, stage), members in shards.unclaimed(connection).items():
        batch = batches.get(connection, members[0].batch_id)
        keys = tuple(member.key for member in members)
        orders.append(Order(cast(Job, stage), token, batch.id, batch.priority, keys))
    return orders


def _give_up_on_deadly(connection: Connection, shard_id: int, max_attempts: int) -> None:
    """Fail what takes down a shard's runs again and again: the file in hand, else all that is left of the shard."""
    shard = shards.get(connection, shard_id)
    if shard.deaths < max_attempts:
        return
    files.fail_open(
        connection,
        shard_id,
        f"The worker died or fell silent {shard.deaths} times while working on it. "
        "Look at the runs' logs in the Dagster UI, then retry it.",
        only=shard.file_in_hand,
    )
    shards.count_files(connection, [shard_id])
    if shard.file_in_hand is None:
        shards.close(connection, shard_id)
    else:
        shards.forget_deaths(connection, shard_id)
