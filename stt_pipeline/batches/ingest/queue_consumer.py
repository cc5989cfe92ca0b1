"""Consumes queues of bucket events: messages become files of batches, and are deleted afterwards.

Nothing is lost: a message leaves its queue when its files are committed for every watch that they match, or when it is
in ``stt_dead_letters``. Until then the queue delivers it again, which is harmless, because a watch adds each content once.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.s3_events import Arrival, arrivals, latest
from stt_pipeline.audio.sources import Source, SourceObject
from stt_pipeline.audio.sqs import LONGEST_WAIT, Message, Queue
from stt_pipeline.batches.ingest.objects import IngestConfig, IngestResult, ingest_objects
from stt_pipeline.errors import (
    ConflictError,
    InvalidRequestError,
    LeaseLostError,
    NotFoundError,
    SttError,
)
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.manifest.watches import Watch

MAX_MESSAGES = 1_000
"""Messages that become one batch, or one addition to the day's batch.

Fewer would make many batches of ten files; these are processed well within a queue's usual visibility timeout of 30 s.
"""

MAX_RECEIVES = 5
"""A message that fails because of our own error becomes a dead letter after this many receives."""

QUIET_SECONDS = 1.0
_COLLECT_SECONDS = 5.0
_NOT_ADDED = "Files of the queue's messages could not be added."
_ERROR_RETENTION = timedelta(minutes=10)  # longer than queues hide received messages

# errors of our own or of Dagster's database are not caused by a message, except values that the database cannot store
_NOT_THE_MESSAGE = (DBAPIError, NoConnectionError, psycopg.Error, OSError)
_INVALID_VALUE = (DataError, psycopg.DataError)

Parse = Callable[[str], list[Arrival]]
Ingest = Callable[[Database, Watch, Iterable[SourceObject], IngestConfig], IngestResult]

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ConsumeResult:
    """The result of one call of :func:`consume`.

    Attributes:
        messages: messages that were received.
        new_files: files that were added.
        batch_ids: their batches.
        dead_letters: messages that became dead letters.
        kept: messages that stay in the queue and are delivered again.
    """

    messages: int = 0
    new_files: int = 0
    batch_ids: list[int] = field(default_factory=list)
    dead_letters: int = 0
    kept: int = 0


def consume(
    database: Database,
    queue: Queue,
    watches_of_queue: Sequence[Watch],
    allowed: AllowedSources,
    config: IngestConfig,
    *,
    seconds: float,
    wait_seconds: float,
    quiet_seconds: float = QUIET_SECONDS,
    parse: Parse = arrivals,
    ingest: Ingest = ingest_objects,
) -> ConsumeResult:
    """Add the files of a queue's messages, until the queue is empty or the time is over.

    It may be killed at any point and called again. An error of one watch is saved there; the others go on.

    Args:
        watches_of_queue: all watches of the queue: messages that match none of them are deleted.
        seconds: after which no more messages are received.
        wait_seconds: for a first message.
        quiet_seconds: a queue that returns no message in this time is empty at the moment.
        parse: returns the objects in the body of a message.
        ingest: adds objects to a batch of a watch.

    Raises:
        InvalidRequestError: the queue does not exist, or may not be read.
        ConfigurationError: credentials or region are wrong.
        SourceUnavailableError: the queue does not answer.
    """
    until = time.monotonic() + seconds
    consumer = _Consumer(database, queue, watches_of_queue, allowed, config, until, parse, ingest)
    consumer.reopen_failed_sources()
    wait, more = wait_seconds, True
    while more:
        messages, more = _receive(queue, wait, quiet_seconds, until)
        consumer.process(messages)
        wait = quiet_seconds
    consumer.save_idle_polls()
    return consumer.result


def _receive(queue: Queue, wait: float, quiet: float, until: float) -> tuple[list[Message], bool]:
    """Return the next messages, and whether to receive again. Waits for the first message only."""
    messages = received = queue.receive(min(wait, LONGEST_WAIT))
    end = min(until, time.monotonic() + _COLLECT_SECONDS)
    while received and len(messages) < MAX_MESSAGES and time.monotonic() < end:
        received = queue.receive(quiet)
        messages = messages + received
    return messages, bool(received) and time.monotonic() < until


@dataclass(frozen=True, slots=True)
class _ParsedMessage:
    message: Message
    arrivals: list[Arrival]


@dataclass(slots=True)
class _WatchState:
    """A watch of the queue. ``source`` is None until a message needs it, or if it cannot be opened."""

    watch: Watch
    source: Source | None = None
    error: str | None = None
    is_saved: bool = False

    def matching(self, parsed: _ParsedMessage) -> list[Arrival]:
        """Return the objects of a message that the watch is for; without a source, all that may be."""
        if self.source is None:
            start = f"{self.watch.source_path.rstrip('/')}/"
            return [arrival for arrival in parsed.arrivals if arrival.found.uri.startswith(start)]
        source = self.source
        return [arrival for arrival in parsed.arrivals if source.matches(arrival.found.uri)]


class _Consumer:
    """The state of one call of :func:`consume`."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        watches_of_queue: Sequence[Watch],
        allowed: AllowedSources,
        config: IngestConfig,
        until: float,
        parse: Parse,
        ingest: Ingest,
    ) -> None:
        self.result = ConsumeResult()
        self._database = database
        self._queue = queue
        self._states = [_WatchState(watch) for watch in watches_of_queue]
        self._allowed = allowed
        self._config = config
        self._until = until
        self._parse = parse
        self._ingest = ingest

    def reopen_failed_sources(self) -> None:
        """Open the sources that failed last time; others are opened for a message."""
        for state in self._states:
            if state.watch.error:
                self._open(state)

    def process(self, messages: Sequence[Message]) -> None:
        """Add the files of messages, and delete the messages that are finished."""
        if not messages:
            return
        self.result.messages += len(messages)
        parsed = self._parsed(messages)
        kept: set[str] = set()
        for state in self._states:
            self._open(state)
            matching = [one for one in parsed if state.matching(one)]
            if state.source is None:
                kept |= {one.message.receipt for one in matching}
            elif matching:
                kept |= self._add(state, matching)
        unmatched = sum(not any(state.matching(one) for state in self._states) for one in parsed)
        if unmatched:
            _log.debug("%s: %d messages match no watch.", self._queue.url, unmatched)
        done = [message for message in messages if message.receipt not in kept]
        self.result.kept += len(kept)
        for failure in self._queue.delete(done):
            _log.warning(
                "%s: a message is not deleted and will be delivered again: %s", self._queue.url, failure
            )

    def save_idle_polls(self) -> None:
        """Save the time of this poll for watches without messages, so that users see that they are active.

        A recent error about messages stays: the messages are hidden at the moment, and are delivered again.
        """
        recent = datetime.now(UTC) - _ERROR_RETENTION
        for state in self._states:
            watch = state.watch
            is_recent = watch.looked_at is not None and watch.looked_at > recent
            stays = is_recent and (watch.error or "").startswith(_NOT_ADDED)
            if state.error is None and not state.is_saved and not stays:
                self._save_poll(state, 0)

    def _parsed(self, messages: Sequence[Message]) -> list[_ParsedMessage]:
        """Return the messages that can be parsed; the others become dead letters."""
        parsed: list[_ParsedMessage] = []
        for message in messages:
            try:
                parsed.append(_ParsedMessage(message, self._parse(message.body)))
            except InvalidRequestError as error:
                self._add_dead_letter(message, str(error))
            except (
                Exception
            ) as error:  # any sender may send any body, and one message must not block the others
                _log.exception("%s: message %s", self._queue.url, message.id)
                self._add_dead_letter(message, f"It could not be read. {type(error).__name__}: {error}")
        return parsed

    def _open(self, state: _WatchState) -> None:
        if state.source is not None or state.error is not None:
            return
        watch = state.watch
        try:
            state.source = self._allowed.open(watch.source_path, watch.file_pattern)
        except SttError as error:
            self._save_error(state, str(error))

    def _add(self, state: _WatchState, parsed: list[_ParsedMessage]) -> set[str]:
        """Add the files of messages, and return the receipts of the messages that stay in the queue.

        If that fails, each half is tried separately, so that one message does not block the others.
        """
        objects = latest([arrival for one in parsed for arrival in state.matching(one)])
        receipts = {one.message.receipt for one in parsed}
        try:
            added = self._ingest(self._database, state.watch, objects, self._config)
        except (ConflictError, LeaseLostError, NotFoundError) as error:
            # another run works on the day's batch, or the watch was removed: not caused by the messages
            _log.info("%s: watch %d adds no files now: %s", self._queue.url, state.watch.id, error)
            return receipts
        except Exception as error:
            if isinstance(error, _NOT_THE_MESSAGE) and not isinstance(error, _INVALID_VALUE):
                raise
            return self._add_after_error(state, parsed, error)
        self._save_poll(state, added.new_files)
        self.result.new_files += added.new_files
        if added.batch_id is not None and added.batch_id not in self.result.batch_ids:
            self.result.batch_ids.append(added.batch_id)
        return set()

    def _add_after_error(
        self, state: _WatchState, parsed: list[_ParsedMessage], error: Exception
    ) -> set[str]:
        if len(parsed) > 1 and time.monotonic() < self._until:
            half = len(parsed) // 2
            return self._add(state, parsed[:half]) | self._add(state, parsed[half:])
        text = str(error) if isinstance(error, SttError) else f"{type(error).__name__}: {error}"
        _log.warning("%s: watch %d", self._queue.url, state.watch.id, exc_info=error)
        if len(parsed) == 1 and parsed[0].message.receives > MAX_RECEIVES:
            reason = f"Its files could not be added by watch {state.watch.id}. {text}"
            self._add_dead_letter(parsed[0].message, reason)
            return set()
        self._save_error(state, f"{_NOT_ADDED} {text}")
        return {one.message.receipt for one in parsed}

    def _add_dead_letter(self, message: Message, error: str) -> None:
        with self._database.begin() as connection:
            watches.add_dead_letter(connection, self._queue.url, message.id, message.body, error)
        self.result.dead_letters += 1

    def _save_error(self, state: _WatchState, error: str) -> None:
        state.error = error
        with self._database.begin() as connection:
            watches.set_error(connection, state.watch.id, error)

    def _save_poll(self, state: _WatchState, new_files: int) -> None:
        state.is_saved = True
        with self._database.begin() as connection:
            watches.save_poll(connection, state.watch.id, cursor=None, found=new_files)
            if state.error is not None:  # of other messages
                watches.set_error(connection, state.watch.id, state.error)
