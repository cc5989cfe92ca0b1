"""What people do with a batch: pause, resume, cancel, delete. What is allowed when is ``store.batches.MOVES``.

Each writes rows and returns at once; the dispatcher does the rest within a tick.
"""

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.store import batches, shards
from stt_pipeline.store.batches import Batch
from stt_pipeline.store.database import Database


def pause(database: Database, batch_id: int) -> Batch:
    """Stop the dispatch of a batch from the next tick on; files in work are finished, and other runs start no new shard.

    Raises:
        InvalidRequestError: there is no such batch, or its status does not allow it; so do all functions here.
    """
    with database.begin() as connection:
        batches.pause(connection, batch_id)
        return batches.get(connection, batch_id)


def resume(database: Database, batch_id: int) -> Batch:
    """Let a paused batch go on where it was."""
    with database.begin() as connection:
        batches.resume(connection, batch_id)
        return batches.get(connection, batch_id)


def cancel(database: Database, batch_id: int) -> Batch:
    """End a batch for good: no result is written any more, and the dispatcher ends its queued and running runs.

    What is finished stays; files that were not are neither done nor failed.
    """
    with database.begin() as connection:
        batches.cancel(connection, batch_id)
        return batches.get(connection, batch_id)


def delete(database: Database, batch_id: int) -> Batch:
    """Have an ended batch deleted: its rows, partitions, runs and Parquet files, by a job that may take a while."""
    with database.begin() as connection:
        batches.delete_later(connection, batch_id)
        if at_work := shards.holders(connection, batch_id):
            raise InvalidRequestError(
                f"Batch {batch_id} is being worked on by run {', '.join(at_work)}: wait for it, or end it in the Dagster UI."
            )
        return batches.get(connection, batch_id)
