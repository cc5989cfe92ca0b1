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
PartState = State | Literal["not configured", "not checked"]
"""``ok`` means that the part was asked. A part that is not configured is not used: mails go to the outbox."""

_CACHE_SECONDS = 10.0  # the endpoint needs no key, and a check of the mail server takes a while


class HealthChecks:
    """Runs all checks at most every ten seconds, and caches the states."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Store the arguments; the first request runs the checks."""
        self._settings = settings
        self._database = database
        self._lock = threading.Lock()
        self._until = 0.0
        self._parts: dict[Part, PartState] = {}

    def parts(self) -> Mapping[Part, PartState]:
        """Return the state of each part. One request runs the checks; others get the cached states if there are any."""
        if time.monotonic() > self._until and self._lock.acquire(blocking=not self._parts):
            try:
                if time.monotonic() > self._until:
                    self._parts = self._run()
                    self._until = time.monotonic() + _CACHE_SECONDS
            finally:
                self._lock.release()
        return self._parts

    def _run(self) -> dict[Part, PartState]:
        checks: dict[Part, Callable[[], PartState]] = {
            "database": self._schema,
            "queue": self._queue,
            "model": lambda: health.model(self._settings).state,
            "llm": self._language_model,
            "smtp": self._mail,
        }
        return {part: check() for part, check in checks.items()}

    def _language_model(self) -> PartState:
        # the product's own summarizer uses none; a summarizer with a server has no check here
        return "not configured" if self._settings.summarizer == "extractive" else "not checked"

    def _mail(self) -> PartState:
        found = health.mail(self._settings).state
        return "not configured" if found == "ok" and not self._settings.smtp_url else found

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
