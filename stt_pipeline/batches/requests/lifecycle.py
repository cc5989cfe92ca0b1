"""What people do with a batch: change, pause, resume, cancel, delete. What is allowed when is ``store.transitions.TRANSITIONS``.

Each writes rows, and who asked for it, and returns at once; the dispatcher does the rest within a tick.
"""

from collections.abc import Sequence
from typing import Any, Literal

from stt_pipeline.batches.requests.create import checked_emails, checked_name, checked_priority
from stt_pipeline.errors import ConflictError
from stt_pipeline.store.access import audit
from stt_pipeline.store.access.audit import NOBODY, Actor
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches, shards, transitions
from stt_pipeline.store.queue.batches import Batch


def change(
    database: Database,
    batch_id: int,
    *,
    actor: Actor = NOBODY,
    action: Literal["pause", "resume"] | None = None,
    priority: str | None = None,
    name: str | None = None,
    notify_emails: Sequence[str] | None = None,
) -> Batch:
    """Change some of what a batch was asked for, and pause or resume it, all or nothing; None leaves a thing as it is.

    A new priority holds for what is dispatched from now on, new addresses for mails that were not sent yet.

    Raises:
        NotFoundError: there is no such batch; so do all functions here.
        ConflictError: its status does not allow it; so do all functions here.
        InvalidRequestError: a value cannot be used.
    """
    values: dict[str, Any] = {}
    if priority is not None:
        values["priority"] = checked_priority(priority)
    if name is not None:
        values["name"] = checked_name(name)
    if notify_emails is not None:
        values["notify_emails"] = checked_emails(notify_emails)
    with database.begin() as connection:
        if values:
            transitions.check(connection, batch_id, "changed")
            batches.change(connection, batch_id, values)
            audit.record(connection, actor, "batch.change", batch_id=batch_id, details=values)
        if action == "pause":
            transitions.pause(connection, batch_id)
        elif action == "resume":
            transitions.resume(connection, batch_id)
        if action:
            audit.record(connection, actor, f"batch.{action}", batch_id=batch_id)
        return batches.get(connection, batch_id)


def pause(database: Database, batch_id: int, *, actor: Actor = NOBODY) -> Batch:
    """Stop the dispatch of a batch from the next tick on; files in work are finished, and other runs start no new shard."""
    return change(database, batch_id, actor=actor, action="pause")


def resume(database: Database, batch_id: int, *, actor: Actor = NOBODY) -> Batch:
    """Let a paused batch go on where it was."""
    return change(database, batch_id, actor=actor, action="resume")


def cancel(database: Database, batch_id: int, *, actor: Actor = NOBODY) -> Batch:
    """End a batch for good: no result is written any more, and the dispatcher ends its queued and running runs.

    What is finished stays; files that were not are neither done nor failed.
    """
    with database.begin() as connection:
        transitions.cancel(connection, batch_id)
        audit.record(connection, actor, "batch.cancel", batch_id=batch_id)
        return batches.get(connection, batch_id)


def delete(database: Database, batch_id: int, *, actor: Actor = NOBODY) -> Batch:
    """Have an ended batch deleted: its rows, partitions, runs and Parquet files, by a job that may take a while."""
    with database.begin() as connection:
        transitions.delete_later(connection, batch_id)
        if at_work := shards.holders(connection, batch_id):
            raise ConflictError(
                f"Batch {batch_id} is being worked on by run {', '.join(at_work)}: wait for it, or end it in the Dagster UI."
            )
        batch = batches.get(connection, batch_id)
        audit.record(connection, actor, "batch.delete", batch_id=batch_id, details={"name": batch.name})
        return batch
