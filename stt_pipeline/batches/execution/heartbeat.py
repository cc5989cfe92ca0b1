"""A thread that extends a run's leases while it works, so that they do not expire."""

import logging
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from sqlalchemy import Connection, Table

from stt_pipeline.batches.execution.watchdog import stacks
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import leases
from stt_pipeline.store.queue.leases import Lease

_RETRY_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Heartbeat:
    """Extends the leases that ``held`` returns four times within ``lease_seconds``; a context manager."""

    def __init__(
        self,
        database: Database,
        table: Table,
        held: Callable[[], Sequence[Lease]],
        lease_seconds: int,
        *,
        after_beat: Callable[[Connection], object] = lambda connection: None,
        hang: Callable[[], str | None] = lambda: None,
    ) -> None:
        """The thread starts when the block is entered.

        Args:
            held: returns the leases; called in the thread.
            after_beat: called in the thread, in the transaction that extended the leases.
            hang: returns what hangs, as a sentence, and then the leases are not extended; None if nothing does.
        """
        self._database = database
        self._table = table
        self._held = held
        self._seconds = lease_seconds
        self._after_beat = after_beat
        self._hang = hang
        self._hangs = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the thread."""
        self.stop()

    def stop(self) -> None:
        """Stop the thread; the leases expire after what is left of their time, unless they are released."""
        self._stopped.set()
        self._thread.join()

    def _beat(self) -> None:
        wait = self._seconds / 4
        while not self._stopped.wait(wait):
            if self._is_hanging():
                continue
            try:
                with self._database.begin() as connection:
                    leases.extend(connection, self._table, self._held(), self._seconds)
                    self._after_beat(connection)
                wait = self._seconds / 4
            except Exception:
                # a database that is unavailable for a moment must not end the run; the next write finds a lost lease
                _log.warning("The lease heartbeat failed and will be tried again.", exc_info=True)
                wait = _RETRY_SECONDS

    def _is_hanging(self) -> bool:
        """Return whether the work hangs, and log it once. Work that goes on before its leases expire keeps them."""
        hang = self._hang()
        if hang and not self._hangs:
            _log.error(
                "%s: a call hangs. The leases of this run are not extended, so it is ended, and its files are processed "
                "again. Its threads are here:\n%s",
                hang,
                stacks(),
            )
        self._hangs = hang is not None
        return self._hangs
