"""The sign of life of a run: a thread that keeps its leases from running out while it works."""

import logging
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from sqlalchemy import Table

from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import leases
from stt_pipeline.store.queue.leases import Lease

log = logging.getLogger(__name__)


class Heartbeat:
    """Extends the leases that ``held`` returns, four times within ``lease_seconds``, until the block ends."""

    def __init__(
        self, database: Database, table: Table, held: Callable[[], Sequence[Lease]], lease_seconds: int
    ) -> None:
        """Prepare; the thread starts when the block is entered."""
        self._database = database
        self._table = table
        self._held = held
        self._seconds = lease_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        """Start beating."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop beating; the leases live on for what is left of their time."""
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(self._seconds / 4):
            try:
                with self._database.begin() as connection:
                    leases.extend(connection, self._table, self._held(), self._seconds)
            except Exception:
                # a database that is away for a moment must not end the work; a lost lease shows at the next write
                log.warning("The lease heartbeat failed; it is tried again.", exc_info=True)
