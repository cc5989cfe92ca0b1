"""The lifecycle of a batch: which change is allowed in which status, and what it writes.

All changes of a status are here, and check one table, :data:`TRANSITIONS`.
"""

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Connection, and_, case, func, select, update

from stt_pipeline.errors import ConflictError
from stt_pipeline.store.queue import leases
from stt_pipeline.store.queue.batches import Batch, Status, get
from stt_pipeline.store.queue.shards import open_shard_of
from stt_pipeline.store.tables import batches, shards

Move = Literal[
    "scanned", "worked on", "closed", "changed", "paused", "resumed", "retried", "cancelled", "deleted"
]
TRANSITIONS: Mapping[Move, frozenset[Status]] = {
    "scanned": frozenset({"pending", "scanning", "processing", "paused", "completed", "failed"}),
    "worked on": frozenset({"scanning", "processing", "paused", "completed", "failed"}),
    "closed": frozenset({"scanning", "processing", "paused", "completed", "failed"}),
    "changed": frozenset({"pending", "scanning", "processing", "paused", "completed", "failed", "cancelled"}),
    "paused": frozenset({"pending", "scanning", "processing"}),
    "resumed": frozenset({"paused"}),
    "retried": frozenset({"scanning", "processing", "paused", "completed", "failed"}),
    "cancelled": frozenset({"pending", "scanning", "processing", "paused"}),
    "deleted": frozenset({"completed", "failed", "cancelled"}),
}
"""For each change, the statuses in which a batch allows it."""


def check(connection: Connection, batch_id: int, move: Move) -> Batch:
    """Lock a batch until the end of the transaction, check that ``move`` is allowed, and return the batch.

    Raises:
        NotFoundError: the batch does not exist.
        ConflictError: :data:`TRANSITIONS` does not allow ``move`` in the status of the batch.
    """
    connection.execute(select(batches.c.id).where(batches.c.id == batch_id).with_for_update(key_share=True))
    batch = get(connection, batch_id)
    if batch.status not in TRANSITIONS[move]:
        if batch.status == "deleting":
            raise ConflictError(f"Batch {batch_id} is being deleted.")
        if batch.status == move:
            raise ConflictError(f"Batch {batch_id} is {move} already.")
        *others, last = sorted(TRANSITIONS[move])
        allowed = f"{', '.join(others)} or {last}" if others else last
        raise ConflictError(
            f"Batch {batch_id} is {batch.status} and cannot be {move}: its status must be {allowed}."
        )
    return batch


def set_stage(connection: Connection, batch_id: int, stage: Literal["scan", "shards", "report"]) -> None:
    """Set the stage of the whole batch."""
    connection.execute(update(batches).where(batches.c.id == batch_id).values(stage=stage))


def start_scan(connection: Connection, batch_id: int) -> None:
    """Mark the batch as ``scanning``. A scan that crashes is dispatched again, in a paused batch after it is resumed."""
    batch = check(connection, batch_id, "scanned")
    _set(connection, batch_id, _unless_paused(batch, "scanning"), stage="scan", error=None)


def finish_scan(connection: Connection, batch_id: int, total_files: int) -> None:
    """Make the batch's shards ready for dispatch; a paused batch stays paused."""
    batch = check(connection, batch_id, "worked on")
    _set(
        connection,
        batch_id,
        _unless_paused(batch, "processing"),
        total_files=total_files,
        scanned_at=func.now(),
        completed_at=case((open_shard_of(batch_id), None), else_=batches.c.completed_at),
        retired_at=None,
        stage="shards",
    )


def fail_scan(connection: Connection, batch_id: int, error: str) -> None:
    """Continue with the files of earlier scans, and show the error of this scan."""
    batch = check(connection, batch_id, "worked on")
    _set(connection, batch_id, _unless_paused(batch, "processing"), stage="shards", error=error)


def fail(connection: Connection, batch_id: int, error: str) -> None:
    """Set a batch that has no files to ``failed``."""
    check(connection, batch_id, "closed")
    _set(connection, batch_id, "failed", stage="done", error=error, completed_at=func.now())


def reopen(connection: Connection, batch_id: int) -> None:
    """Set a batch that has ended, or waits for its report, back to ``processing``, after some of its files were reset."""
    batch = check(connection, batch_id, "worked on")
    if batch.stage in ("report", "done"):
        status = _unless_paused(batch, "processing")
        _set(connection, batch_id, status, stage="shards", completed_at=None, retired_at=None)


def close(connection: Connection, batch_id: int, status: Literal["completed", "failed"]) -> None:
    """End the batch after its report, unless one of its shards was reopened meanwhile."""
    batch = check(connection, batch_id, "closed")
    if not connection.scalar(select(open_shard_of(batch_id))):
        ended = batch.completed_at or func.now()
        _set(connection, batch_id, status, stage="done", error=None, completed_at=ended)


def pause(connection: Connection, batch_id: int) -> None:
    """Stop the dispatch of a batch and free its unclaimed shards; claimed shards continue."""
    check(connection, batch_id, "paused")
    leases.force_release(connection, shards, and_(shards.c.batch_id == batch_id, shards.c.run_id.is_(None)))
    _set(connection, batch_id, "paused")


def resume(connection: Connection, batch_id: int) -> None:
    """Continue a paused batch from where it was."""
    batch = check(connection, batch_id, "resumed")
    before_files: Status = "pending" if batch.scanned_at is None else "scanning"
    _set(connection, batch_id, before_files if batch.stage == "scan" else "processing")


def cancel(connection: Connection, batch_id: int) -> None:
    """End a batch for good: its leases are released, so no run can write results, and its runs are to be terminated."""
    check(connection, batch_id, "cancelled")
    leases.force_release(connection, batches, batches.c.id == batch_id)
    leases.force_release(connection, shards, shards.c.batch_id == batch_id)
    ended = {"completed_at": func.now(), "retry_after": None, "error": None}
    _set(connection, batch_id, "cancelled", stage="cancel", **ended)


def finish_cancel(connection: Connection, batch_id: int) -> None:
    """Record that all runs of a cancelled batch are terminated."""
    connection.execute(
        update(batches).where(batches.c.id == batch_id, batches.c.stage == "cancel").values(stage="done")
    )


def delete_later(connection: Connection, batch_id: int) -> None:
    """Mark an ended batch for deletion by the deletion job."""
    check(connection, batch_id, "deleted")
    _set(connection, batch_id, "deleting", stage="delete", not_before=None, tries=0, error=None)


def _set(connection: Connection, batch_id: int, status: Status, **values: Any) -> None:
    connection.execute(update(batches).where(batches.c.id == batch_id).values(status=status, **values))


def _unless_paused(batch: Batch, status: Status) -> Status:
    return "paused" if batch.status == "paused" else status
