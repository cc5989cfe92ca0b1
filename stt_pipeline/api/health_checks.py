"""The checks of `/health`. It needs no key, so it returns states without hosts or paths; `stt doctor` prints more."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Literal

from sqlalchemy.exc import SQLAlchemyError

from stt_pipeline import health
from stt_pipeline.batches.execution.dispatch import HEARTBEAT
from stt_pipeline.health import State
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import is_current
from stt_pipeline.store.queue import heartbeats

Part = Literal["database", "queue", "model", "llm", "smtp"]

_CACHE_SECONDS = 10.0  # the endpoint needs no key, and a check of the mail server takes a while


class HealthChecks:
    """Runs all checks at most every ten seconds, and caches the states."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Store the arguments; the first request runs the checks."""
        self._settings = settings
        self._database = database
        self._lock = threading.Lock()
        self._until = 0.0
        self._parts: dict[Part, State] = {}

    def parts(self) -> Mapping[Part, State]:
        """Return the state of each part. One request runs the checks; others get the cached states if there are any."""
        if time.monotonic() > self._until and self._lock.acquire(blocking=not self._parts):
            try:
                if time.monotonic() > self._until:
                    self._parts = self._run()
                    self._until = time.monotonic() + _CACHE_SECONDS
            finally:
                self._lock.release()
        return self._parts

    def _run(self) -> dict[Part, State]:
        checks: dict[Part, Callable[[], State]] = {
            "database": self._schema,
            "queue": self._queue,
            "model": lambda: health.model(self._settings).state,
            # minutes are extractive: they need no language model
            "llm": lambda: "ok",
            "smtp": lambda: health.mail(self._settings).state,
        }
        return {part: check() for part, check in checks.items()}

    def _schema(self) -> State:
        try:
            with self._database.begin() as connection:
                return "ok" if is_current(connection) else "fail"
        except SQLAlchemyError:
            return "fail"

    def _queue(self) -> State:
        try:
            with self._database.begin() as connection:
                return health.dispatcher(heartbeats.last_beat(connection, HEARTBEAT)).state
        except SQLAlchemyError:
            return "fail"
