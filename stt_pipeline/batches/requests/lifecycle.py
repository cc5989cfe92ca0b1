"""Changes of a batch by users: change, pause, resume, cancel, delete. ``transitions.TRANSITIONS`` says which status allows them.

Each function writes rows and an entry of the audit log, and returns at once; the dispatcher does the rest at its next tick.
"""

from stt_pipeline.batches.requests.batch_request import BatchChange
from stt_pipeline.errors import ConflictError
from stt_pipeline.store.access import audit
from stt_pipeline.store.access.audit import NOBODY, Actor
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches, shards, transitions
from stt_pipeline.store.queue.batches import Batch


def change(database: Database, batch_id: int, change: BatchChange, *, actor: Actor = NOBODY) -> Batch:
    """Apply all of a change, or none of it, and return the batch.

    A new priority holds for what is dispatched from now on, new recipients for mails that are not sent yet.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: the batch's status does not allow it.
    """
    values = change.model_dump(exclude={"action"}, exclude_none=True)
    with database.begin() as connection:
        if values:
            transitions.check(connection, batch_id, "changed")
            batches.change(connection, batch_id, values)
            audit.record(connection, actor, "batch.change", batch_id=batch_id, details=values)
        if change.action == "pause":
            transitions.pause(connection, batch_id)
        elif change.action == "resume":
            transitions.resume(connection, batch_id)
        if change.action:
            audit.record(connection, actor, f"batch.{change.action}", batch_id=batch_id)
        return batches.get(connection, batch_id)


def pause(database: Database, batch_id: int, *, actor: Actor = NOBODY) -> Batch:
    """Stop the dispatch of a batch at the next tick. Active files are finished, and runs start no new shard.

    Raises as :func:`change` does.
    """
    return change(database, batch_id, BatchChange(action="pause"), actor=actor)


def resume(database: Database, batch_id: int, *, actor: Actor = NOBODY) -> Batch:
    """Continue a paused batch. Raises as :func:`change` does."""
    return change(database, batch_id, BatchChange(action="resume"), actor=actor)


def cancel(database: Database, batch_id: int, *, actor: Actor = NOBODY) -> Batch:
    """End a batch for good: no more results are written, and the dispatcher ends its queued and running runs.

    Finished files keep their results; the others stay pending. Raises as :func:`change` does.
    """
    with database.begin() as connection:
        transitions.cancel(connection, batch_id)
        audit.record(connection, actor, "batch.cancel", batch_id=batch_id)
        return batches.get(connection, batch_id)


def delete(database: Database, batch_id: int, *, actor: Actor = NOBODY) -> Batch:
    """Mark an ended batch for deletion: a job then removes its rows, partitions, runs and Parquet files.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: the batch's status does not allow it, or a run works on it.
    """
    with database.begin() as connection:
        transitions.delete_later(connection, batch_id)
        if run_ids := shards.holders(connection, batch_id):
            raise ConflictError(
                f"Batch {batch_id} is being worked on by run {', '.join(run_ids)}: wait for it, or end it in the Dagster UI."
            )
        batch = batches.get(connection, batch_id)
        audit.record(connection, actor, "batch.delete", batch_id=batch_id, details={"name": batch.name})
        return batch
