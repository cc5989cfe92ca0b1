"""Restarts crashed child processes of `stt up`, and stops restarting a process that keeps crashing."""

import time
from collections import deque
from collections.abc import Callable

from stt_pipeline.cli.processes import Child
from stt_pipeline.cli.services import API

MAX_CRASHES = 3
CRASH_WINDOW = 120.0
"""Seconds. After ``MAX_CRASHES`` crashes within them a process is not restarted."""


class Restarter:
    """Restarts the children that ended. The admin API may fail alone; batches continue without it.

    Attributes:
        children: the running children; an API that keeps crashing is removed.
        failure: a message if another child keeps crashing, so that the whole stack must stop; else None.
    """

    def __init__(self, children: list[Child], *, print_status: Callable[[str], None]) -> None:
        """Store the arguments; ``print_status`` gets a line for each crash."""
        self.children = children
        self.failure: str | None = None
        self._print_status = print_status
        self._crashes: deque[float] = deque(maxlen=MAX_CRASHES)
        self._api_crashes: deque[float] = deque(maxlen=MAX_CRASHES)

    def restart_ended(self) -> None:
        """Restart each child that ended since the last call."""
        for child in [*self.children]:
            if child.exit_code is not None:
                self._restart(child)

    def _restart(self, child: Child) -> None:
        now = time.monotonic()
        is_api = child.name == API
        crashes = self._api_crashes if is_api else self._crashes
        crashes.append(now)
        if len(crashes) < MAX_CRASHES or now - crashes[0] >= CRASH_WINDOW:
            self._print_status(f"{crash_message(child)}\nRestarting it.")
            child.start()
        elif is_api:
            self._print_status(
                f"{crash_message(child)}\nIt keeps crashing, so the other processes continue without it. "
                "`stt api` starts it alone."
            )
            self.children.remove(child)
        else:
            self.failure = f"{crash_message(child)}\nProcesses keep crashing, so everything stops."


def crash_message(child: Child) -> str:
    """Return the exit code and the end of the log of a child that ended."""
    return f"The {child.name} ended (exit code {child.exit_code}). The end of {child.log}:\n{child.tail()}"
