"""Queries that find the file behind a crashed run: the active file and the crash counter of ``stt_shards``.

A run that ends without releasing its lease counts as a crash of each of its shards. The active file is written only
where one more crash would be the last allowed one, so that this file fails and not the whole shard.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, func, update

from stt_pipeline.store.queue import leases
from stt_pipeline.store.queue.leases import Lease
from stt_pipeline.store.tables import shards


def mark_active_file(connection: Connection, lease: Lease, file_id: int) -> None:
    """Verify the lease and record the file that its run processes now.

    Raises:
        LeaseLostError: the run no longer has the shard.
    """
    changed = connection.execute(
        update(shards).where(*leases.owned_by(shards, lease)).values(active_file_id=file_id)
    ).rowcount
    if not changed:
        raise leases.lease_lost(shards, lease)


def clear_active_file(connection: Connection, shard_ids: Sequence[int]) -> None:
    """Clear the active file of shards: the step has ended, or the crash of its run is already attributed."""
    connection.execute(update(shards).where(shards.c.id.in_(shard_ids)).values(active_file_id=None))


def undo_crash(connection: Connection, shard_ids: Sequence[int]) -> None:
    """Subtract one crash from shards of a run that crashed on a file of another shard."""
    connection.execute(
        update(shards)
        .where(shards.c.id.in_(shard_ids))
        .values(crashes=func.greatest(shards.c.crashes - 1, 0))
    )


def reset_crashes(connection: Connection, shard_id: int) -> None:
    """Set the crash counter of a shard to zero, after the file that caused the crashes was failed."""
    connection.execute(update(shards).where(shards.c.id == shard_id).values(crashes=0, active_file_id=None))
