"""Restarts what `stt up` started and what ended by itself: child processes and the embedded Postgres.

What keeps crashing is not started again.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable

from stt_pipeline.cli.processes import Child
from stt_pipeline.cli.services import API
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.store.server.embedded import EmbeddedPostgres

MAX_CRASHES = 3
CRASH_WINDOW = 120.0
"""Seconds. After ``MAX_CRASHES`` crashes within them a process is not restarted."""

_POSTGRES = "embedded Postgres"


class Restarter:
    """Restarts the processes that ended. Each has its own crashes, so several that are killed at once are all restarted.

    The admin API may fail alone; batches continue without it.

    Attributes:
        children: the running children; an API that keeps crashing is removed.
        postgres: the embedded server; None if the database is another server.
        failure: a message if a process that batches need keeps crashing, so that the whole stack must stop; else None.
    """

    def __init__(self, children: list[Child], *, print_status: Callable[[str], None]) -> None:
        """Store the arguments; ``print_status`` gets a line for each crash."""
        self.children = children
        self.postgres: EmbeddedPostgres | None = None
        self.failure: str | None = None
        self._print_status = print_status
        self._crashes: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=MAX_CRASHES))

    def restart_ended(self) -> list[str]:
        """Restart what ended since the last call, and return the names of the restarted children."""
        # the server first: the others need it
        self._restart_postgres()
        return [
            child.name for child in [*self.children] if child.exit_code is not None and self._restart(child)
        ]

    def _restart_postgres(self) -> None:
        if self.postgres is None or self.postgres.is_running():
            return
        ended = f"The {_POSTGRES} ended. The end of its log:\n{self.postgres.log_tail()}"
        if self._keeps_crashing(_POSTGRES):
            self.failure = f"{ended}\nIt keeps crashing, so everything stops."
            return
        self._print_status(f"{ended}\nRestarting it.")
        try:
            self.postgres.start_again()
        except ConfigurationError as error:  # the next call tries again
            self._print_status(str(error))

    def _restart(self, child: Child) -> bool:
        message = crash_message(child)
        if not self._keeps_crashing(child.name):
            self._print_status(f"{message}\nRestarting it.")
            child.start()
            return True
        if child.name == API:
            self._print_status(
                f"{message}\nIt keeps crashing, so the other processes continue without it. "
                "`stt api` starts it alone."
            )
            self.children.remove(child)
        else:
            self.failure = f"{message}\nIt keeps crashing, so everything stops."
        return False

    def _keeps_crashing(self, name: str) -> bool:
        """Record a crash of the process ``name``, and return whether it was the last one that is allowed."""
        crashes, now = self._crashes[name], time.monotonic()
        crashes.append(now)
        return len(crashes) == MAX_CRASHES and now - crashes[0] < CRASH_WINDOW


def crash_message(child: Child) -> str:
    """Return the exit code and the end of the log of a child that ended."""
    return f"The {child.name} ended (exit code {child.exit_code}). The end of {child.log}:\n{child.tail()}"
