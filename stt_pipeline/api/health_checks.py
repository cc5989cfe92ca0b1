"""What `/health` looks at. It is open to everybody, so it names states and no places; `stt doctor` says more."""

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

_KEPT_SECONDS = 10.0  # anybody may ask, and a look at a mail server takes a while


class HealthChecks:
    """Looks at everything, at most every ten seconds, however many ask."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Look at nothing yet."""
        self._settings = settings
        self._database = database
        self._lock = threading.Lock()
        self._until = 0.0
        self._parts: dict[Part, State] = {}

    def parts(self) -> Mapping[Part, State]:
        """Return the state of each part. One caller looks; others are told what was seen last, but for the first time."""
        if time.monotonic() > self._until and self._lock.acquire(blocking=not self._parts):
            try:
                if time.monotonic() > self._until:
                    self._parts = self._look()
                    self._until = time.monotonic() + _KEPT_SECONDS
            finally:
                self._lock.release()
        return self._parts

    def _look(self) -> dict[Part, State]:
        checks: dict[Part, Callable[[], State]] = {
            "database": self._schema,
            "queue": self._queue,
            "model": lambda: health.model(self._settings).state,
            # minutes are extractive: no model is asked for them
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
