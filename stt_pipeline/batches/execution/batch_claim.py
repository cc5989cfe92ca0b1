"""The claim of a whole batch, for its scan, report or deletion: one run at a time, under a lease."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

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
    """A claimed batch, as it was at the time of the claim."""

    database: Database
    batch: Batch
    lease: Lease

    def verify(self, connection: Connection) -> None:
        """Check, before a result is written, that this run still has the lease (see ``leases.verify``)."""
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
    show_error: bool = True,
) -> Iterator[BatchClaim]:
    """Claim a batch while the block runs.

    Args:
        to_delete: claim a batch with the status ``deleting``, and no other.
        show_error: show an error that ends the block on the batch, and delay its next run; see :class:`held`.

    Raises:
        NotFoundError: the batch does not exist.
        ConflictError: its status does not allow it, or another run works on it.
    """
    with database.begin() as connection:
        claimed = claim(
            database,
            connection,
            batch_id,
            run_id=run_id,
            token=token,
            lease_seconds=lease_seconds,
            to_delete=to_delete,
        )
    with held(claimed, lease_seconds, show_error=show_error):
        yield claimed


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
    """Claim a batch in the transaction of ``connection``; the caller then enters :class:`held`.

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


class held:  # noqa: N801  # used as a function, like contextlib.suppress
    """Extends the lease of a claimed batch while the block runs, and releases it at the end."""

    def __init__(self, claimed: BatchClaim, lease_seconds: int, *, show_error: bool = True) -> None:
        """The heartbeat starts when the block is entered.

        Args:
            show_error: show an error that ends the block on the batch, and let the dispatcher wait 30 seconds.
        """
        self._database = claimed.database
        self._lease = claimed.lease
        self._show_error = show_error
        self._heartbeat = Heartbeat(claimed.database, batches_table, lambda: [claimed.lease], lease_seconds)

    def __enter__(self) -> None:
        """Start the heartbeat."""
        self._heartbeat.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the heartbeat and release the lease."""
        self._heartbeat.stop()
        with self._database.begin() as connection:
            if error is None or not self._show_error:
                leases.release(connection, batches_table, self._lease, tries=0, crashes=0)
                return
            message = (
                str(error)
                if isinstance(error, SttError)
                else f"Run {self._lease.run_id} ended early; see its log in the Dagster UI."
            )
            leases.release(connection, batches_table, self._lease, wait_seconds=_RETRY_SECONDS, error=message)
