"""Queues that tell what arrives at watched buckets: messages become files of batches, and are deleted after that.

Nothing is lost: a message leaves its queue when what it tells was committed for every watch that means it, or when it lies
in ``stt_dead_letters``. Until then it comes again, as often as it likes, since a watch takes in each content once.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import psycopg
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.s3_events import Arrival, arrivals, latest
from stt_pipeline.audio.sources import Source
from stt_pipeline.audio.sqs import LONGEST_WAIT, Message, Queue
from stt_pipeline.batches.ingest.objects import Intake, arrive
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

# messages that become one batch, or one addition to the day's: a batch for ten files would be absurd. They are worked off
# well within a queue's usual visibility timeout of 30 seconds
MOST_MESSAGES = 1_000
_COLLECT_SECONDS = 5.0
_NOT_TAKEN_IN = "What the queue told could not be taken in."
_ERRORS_STAY = timedelta(minutes=10)  # longer than queues hide what was received
QUIET_SECONDS = 1.0

MOST_RECEIVES = 5
"""A message on which our own work failed is kept as a dead letter when it was received more often than this."""

# what the database, or Dagster's, has against us at the moment is no message's fault, but for values that it cannot hold
_AWAY = (DBAPIError, NoConnectionError, psycopg.Error, OSError)
_ABOUT_DATA = (DataError, psycopg.DataError)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Drained:
    """What came out of a queue.

    Attributes:
        messages: how many were received.
        new: files that were taken in.
        batch_ids: where they are.
        buried: messages that became dead letters.
        left: messages that stay in the queue, and will come again.
    """

    messages: int = 0
    new: int = 0
    batch_ids: list[int] = field(default_factory=list)
    buried: int = 0
    left: int = 0


def drain(
    database: Database,
    queue: Queue,
    watches_of_queue: Sequence[Watch],
    allowed: AllowedSources,
    intake: Intake,
    *,
    seconds: float,
    wait_seconds: float,
    quiet_seconds: float = QUIET_SECONDS,
) -> Drained:
    """Take in what a queue tells, until it has nothing more or the time is over.

    It may die anywhere and be called again. What is wrong with one watch is noted there, and the others go on.

    Args:
        watches_of_queue: all watches that the queue tells about: what none of them means is deleted.
        seconds: after which nothing more is received.
        wait_seconds: for a first message.
        quiet_seconds: a queue that gives nothing for so long has nothing more at the moment.

    Raises:
        InvalidRequestError: the queue is not there, or may not be read.
        ConfigurationError: credentials or region are wrong.
        SourceUnavailableError: the queue does not answer.
    """
    until = time.monotonic() + seconds
    work = _Drain(database, queue, watches_of_queue, allowed, intake, until)
    work.open_again()
    wait, more = wait_seconds, True
    while more:
        messages, more = _collected(queue, wait, quiet_seconds, until)
        work.take(messages)
        wait = quiet_seconds
    work.note_looks()
    return work.drained


def _collected(queue: Queue, wait: float, quiet: float, until: float) -> tuple[list[Message], bool]:
    """Return the next messages, and whether it is worth while and time to ask for more; the first one is waited for."""
    messages = received = queue.receive(min(wait, LONGEST_WAIT))
    end = min(until, time.monotonic() + _COLLECT_SECONDS)
    while received and len(messages) < MOST_MESSAGES and time.monotonic() < end:
        received = queue.receive(quiet)
        messages = messages + received
    return messages, bool(received) and time.monotonic() < until


@dataclass(frozen=True, slots=True)
class _Told:
    """A message, and what it tells."""

    message: Message
    arrivals: list[Arrival]


@dataclass(slots=True)
class _Listener:
    """A watch of the queue. ``source`` is None as long as nothing had to be asked of it."""

    watch: Watch
    source: Source | None = None
    error: str | None = None
    saved: bool = False

    def means(self, told: _Told) -> list[Arrival]:
        """Return what is meant of a message; where the source could not be opened, all that may be."""
        if self.source is None:
            start = f"{self.watch.source_path.rstrip('/')}/"
            return [arrival for arrival in told.arrivals if arrival.found.uri.startswith(start)]
        source = self.source
        return [arrival for arrival in told.arrivals if source.matches(arrival.found.uri)]


class _Drain:
    """The work of one call of :func:`drain`."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        watches_of_queue: Sequence[Watch],
        allowed: AllowedSources,
        intake: Intake,
        until: float,
    ) -> None:
        self.drained = Drained()
        self._database = database
        self._queue = queue
        self._listeners = [_Listener(watch) for watch in watches_of_queue]
        self._allowed = allowed
        self._intake = intake
        self._until = until

    def open_again(self) -> None:
        """See whether the sources that could not be opened last time can be now; others wait for a message."""
        for listener in self._listeners:
            if listener.watch.error:
                self._open(listener)

    def take(self, messages: Sequence[Message]) -> None:
        """Work off messages: take in what is meant, keep what cannot be understood, and delete what is done with."""
        if not messages:
            return
        self.drained.messages += len(messages)
        told: list[_Told] = []
        for message in messages:
            try:
                told.append(_Told(message, arrivals(message.body)))
            except InvalidRequestError as error:
                self._bury(message, str(error))
            except (
                Exception
            ) as error:  # anybody may send anything, and one message must not hold up the others
                _log.exception("%s: message %s", self._queue.url, message.id)
                self._bury(message, f"It could not be read. {type(error).__name__}: {error}")
        left: set[str] = set()
        for listener in self._listeners:
            self._open(listener)
            meant = [one for one in told if listener.means(one)]
            if listener.source is None:
                left |= {one.message.receipt for one in meant}
            elif meant:
                left |= self._take_in(listener, listener.source, meant)
        nobodys = [one for one in told if not any(listener.means(one) for listener in self._listeners)]
        if nobodys:
            _log.debug("%s: %d messages are about nothing that is watched.", self._queue.url, len(nobodys))
        done = [message for message in messages if message.receipt not in left]
        self.drained.left += len(left)
        for failure in self._queue.delete(done):
            _log.warning("%s: not deleted, so it comes again: %s", self._queue.url, failure)

    def note_looks(self) -> None:
        """Show people that the watches were looked after, though nothing came.

        An error about messages stays for a while: they are hidden at the moment, and come again.
        """
        shown_since = datetime.now(timezone.utc) - _ERRORS_STAY
        for listener in self._listeners:
            watch = listener.watch
            is_fresh = watch.looked_at is not None and watch.looked_at > shown_since
            stays = is_fresh and (watch.error or "").startswith(_NOT_TAKEN_IN)
            if listener.error is None and not listener.saved and not stays:
                self._save(listener, 0)

    def _open(self, listener: _Listener) -> None:
        if listener.source is not None or listener.error is not None:
            return
        watch = listener.watch
        try:
            listener.source = self._allowed.open(watch.source_path, watch.file_pattern)
        except SttError as error:
            self._note(listener, str(error))

    def _take_in(self, listener: _Listener, source: Source, told: list[_Told]) -> set[str]:
        """Take in what messages tell, and return the receipts of those that are to come again.

        Where that fails, it is tried with one half and the other, so that one message does not hold up the rest.
        """
        wanted = latest([arrival for one in told for arrival in listener.means(one)])
        receipts = {one.message.receipt for one in told}
        try:
            arrived = arrive(self._database, listener.watch, wanted, self._intake)
        except (ConflictError, LeaseLostError, NotFoundError) as error:
            # another run has the day's batch in hand, or the watch was removed: no fault of the messages
            _log.info("%s: watch %d takes nothing in now: %s", self._queue.url, listener.watch.id, error)
            return receipts
        except Exception as error:
            if isinstance(error, _AWAY) and not isinstance(error, _ABOUT_DATA):
                raise
            return self._failed(listener, source, told, error)
        self._save(listener, arrived.files)
        self.drained.new += arrived.files
        if arrived.batch_id is not None and arrived.batch_id not in self.drained.batch_ids:
            self.drained.batch_ids.append(arrived.batch_id)
        return set()

    def _failed(self, listener: _Listener, source: Source, told: list[_Told], error: Exception) -> set[str]:
        if len(told) > 1 and time.monotonic() < self._until:
            half = len(told) // 2
            return self._take_in(listener, source, told[:half]) | self._take_in(listener, source, told[half:])
        words = str(error) if isinstance(error, SttError) else f"{type(error).__name__}: {error}"
        _log.warning("%s: watch %d", self._queue.url, listener.watch.id, exc_info=error)
        if len(told) == 1 and told[0].message.receives > MOST_RECEIVES:
            self._bury(told[0].message, f"It could not be taken in by watch {listener.watch.id}. {words}")
            return set()
        self._note(listener, f"{_NOT_TAKEN_IN} {words}")
        return {one.message.receipt for one in told}

    def _bury(self, message: Message, error: str) -> None:
        with self._database.begin() as connection:
            watches.add_dead_letter(connection, self._queue.url, message.id, message.body, error)
        self.drained.buried += 1

    def _note(self, listener: _Listener, error: str) -> None:
        listener.error = error
        with self._database.begin() as connection:
            watches.set_error(connection, listener.watch.id, error)

    def _save(self, listener: _Listener, found: int) -> None:
        listener.saved = True
        with self._database.begin() as connection:
            watches.save_poll(connection, listener.watch.id, cursor=None, found=found)
            if listener.error is not None:  # of other messages
                watches.set_error(connection, listener.watch.id, listener.error)
