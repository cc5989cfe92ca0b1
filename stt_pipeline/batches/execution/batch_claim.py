"""Work on a batch as a whole, its intake or its report: one run at a time, under a lease like a shard's."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from stt_pipeline.batches.execution.heartbeat import Heartbeat
from stt_pipeline.errors import ConflictError, SttError
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches, leases
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline.store.queue.leases import Lease
from stt_pipeline.store.tables import batches as batches_table

_RETRY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class BatchClaim:
    """A claimed batch, as it was when it was claimed."""

    database: Database
    batch: Batch
    lease: Lease

    def verify(self, connection: Connection) -> None:
        """Make sure, before a result is written, that the batch is still ours (see ``leases.verify``)."""
        leases.verify(connection, batches_table, self.lease)


@contextmanager
def claimed_batch(
    database: Database,
    batch_id: int,
    *,
    run_id: str,
    token: str | None,
    lease_seconds: int,
    to_delete: bool = False,
) -> Iterator[BatchClaim]:
    """Hold the lease of a batch as a whole; ``to_delete`` is for batches with the status ``deleting``, and only those.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: its status does not allow it, or another run works on it.
    """
    with database.begin() as connection:
        work = claim(
            database,
            connection,
            batch_id,
            run_id=run_id,
            token=token,
            lease_seconds=lease_seconds,
            to_delete=to_delete,
        )
    with held(work, lease_seconds):
        yield work


def claim(
    database: Database,
    connection: Connection,
    batch_id: int,
    *,
    run_id: str,
    token: str | None,
    lease_seconds: int,
    to_delete: bool = False,
) -> BatchClaim:
    """Claim a batch in the transaction of ``connection``; the caller holds it with :func:`held`.

    Raises:
        NotFoundError: as for :func:`claimed_batch`.
        ConflictError: as there.
    """
    batch, state = batches.lock(connection, batch_id)
    refusal = leases.claim_conflict(state, run_id=run_id, token=token)
    if batch.status == "cancelled" or (batch.status == "deleting") != to_delete:
        refusal = batch.status
    if refusal:
        raise ConflictError(f"Batch {batch_id} is {refusal}.")
    lease = leases.claim(connection, batches_table, batch_id, state, run_id=run_id, seconds=lease_seconds)
    return BatchClaim(database, batch, lease)


@contextmanager
def held(work: BatchClaim, lease_seconds: int) -> Iterator[None]:
    """Keep a claimed batch's lease alive, and give it back at the end."""
    database, lease = work.database, work.lease
    try:
        with Heartbeat(database, batches_table, lambda: [lease], lease_seconds):
            yield
    except BaseException as error:
        note = (
            str(error)
            if isinstance(error, SttError)
            else f"Run {lease.run_id} ended early; its log says why."
        )
        with database.begin() as connection:
            leases.release(connection, batches_table, lease, wait_seconds=_RETRY_SECONDS, error=note)
        raise
    with database.begin() as connection:
        leases.release(connection, batches_table, lease, tries=0, crashes=0)
