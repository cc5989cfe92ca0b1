"""How the files of a run's shards go through a transcriber: many at once, of several shards, and back in any order.

What a file goes through otherwise is in ``file_loop``.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from stt_pipeline.batches.execution import file_loop
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard, Done
from stt_pipeline.batches.execution.file_loop import Read, Write
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.errors import ConfigurationError, SourceUnavailableError
from stt_pipeline.speech.recordings import Outcome, Recording
from stt_pipeline.speech.transcriber import Transcriber
from stt_pipeline.store.manifest.files import AudioFile

_Known = TypeVar("_Known")
_Result = TypeVar("_Result")

Begin = Callable[[ClaimedShard, AudioFile, _Known | None], Recording | None]
"""Returns the recording to be transcribed, given what is known of its file; None where there is nothing to do."""

Finish = Callable[[AudioFile, Outcome], Done[_Result]]
"""Returns what is to be written of an outcome that is a transcript."""


def transcribe_each_file(
    work: ShardClaims,
    transcriber_of: Callable[[ClaimedShard], Transcriber],
    begin: Begin[_Known],
    finish: Finish[_Result],
    *,
    read: Read[_Known],
    write: Write[_Result],
) -> None:
    """Transcribe the files of all claimed shards together, so that those of several are decoded side by side.

    As with :func:`for_each_file`, files fail alone. In a careful run there is one recording at a time.

    Args:
        transcriber_of: gives the transcriber of a shard; asked for the first recording of those whose options name the
            same model, and only if there is one.

    Raises:
        ConfigurationError: no file can succeed, so none is blamed.
    """
    groups: dict[str, list[ClaimedShard]] = {}
    for shard in work.shards:
        groups.setdefault(shard.options.model, []).append(shard)
    for shards in groups.values():
        stream = _Stream(work, shards, transcriber_of, begin, finish, read, write)
        recordings = stream.recordings()
        if work.is_careful:
            for recording in recordings:
                stream.transcribe([recording])
        else:
            stream.transcribe(recordings)


@dataclass(slots=True, eq=False)
class _InWork(Generic[_Result]):
    """A shard of which recordings are with the transcriber, or have come back and are not written yet."""

    shard: ClaimedShard
    away: int = 0
    is_given: bool = False
    seconds: float = 0.0
    done: list[Done[_Result]] = field(default_factory=list)


class _Stream(Generic[_Known, _Result]):
    """Recordings of some shards on their way through a transcriber, and back in any order.

    Nearly all of it happens in one thread: the transcriber asks for recordings while it is asked for outcomes. Where it
    works on long ones for long, what came back before is written when it tells how far it is, in a thread of its own.
    """

    def __init__(
        self,
        work: ShardClaims,
        shards: Sequence[ClaimedShard],
        transcriber_of: Callable[[ClaimedShard], Transcriber],
        begin: Begin[_Known],
        finish: Finish[_Result],
        read: Read[_Known],
        write: Write[_Result],
    ) -> None:
        self._work = work
        self._shards = shards
        self._transcriber_of = transcriber_of
        self._begin = begin
        self._finish = finish
        self._read = read
        self._write = write
        self._away: dict[int, tuple[_InWork[_Result], AudioFile]] = {}
        self._unwritten: list[_InWork[_Result]] = []
        self._written_at = time.monotonic()
        # held but for when the transcriber is at work
        self._writing = threading.RLock()

    def recordings(self) -> Iterator[Recording]:
        """Yield what is to be transcribed; a shard is begun when the first of its files is asked for."""
        for shard in self._shards:
            in_work: _InWork[_Result] = _InWork(shard)
            with self._unless_lost(in_work):
                for file, known in file_loop.files_of(self._work, shard, self._read):
                    with self._writing:
                        self._write_if_due()
                        recording = self._recording(shard, file, known)
                    if recording is None:
                        continue
                    in_work.away += 1
                    self._away[file.id] = in_work, file
                    yield recording
                    if not self._work.holds(shard):
                        break  # lost by what came back meanwhile
                with self._writing:
                    in_work.is_given = True
                    self._end_if_back(in_work)

    def transcribe(self, recordings: Iterable[Recording]) -> None:
        """Take what ``recordings`` yields through the transcriber."""
        coming = iter(recordings)
        first = next(coming, None)
        if first is None:
            return
        in_work, _ = self._away[first.key]  # type: ignore[index]  # a file's id, by `_recording`
        try:
            transcriber = self._transcriber_of(in_work.shard)
        except ConfigurationError as error:  # the shards here all ask for that one
            self._work.blame(self._shards, error)
            raise
        try:
            with ExitStack() as at_the_end:
                outcomes = transcriber.transcribe(_chain(first, coming), progress=self._heard)
                if isinstance(outcomes, Generator):
                    at_the_end.enter_context(closing(outcomes))
                for outcome in outcomes:
                    with self._writing:
                        self._take_back(outcome)
        except ConfigurationError as error:
            self._write_all()
            # of what it had in hand; that may have been more than what it is about
            self._work.blame([in_work.shard for in_work, _ in self._away.values()], error)
            raise
        self._write_all()

    def _heard(self, recording: Recording, seconds: float) -> None:
        """Write what waits while the transcriber is at work; called in a thread of its own."""
        if self._unwritten and self._writing.acquire(blocking=False):
            try:
                self._write_if_due()
            finally:
                self._writing.release()

    @contextmanager
    def _unless_lost(self, in_work: _InWork[_Result]) -> Iterator[None]:
        """As ``ShardClaims.unless_lost``; what came back of a shard before its source was away is kept."""
        with self._work.unless_lost(in_work.shard):
            try:
                yield
            except SourceUnavailableError:
                with self._work.unless_lost(in_work.shard), self._writing:
                    self._write_one(in_work)
                raise

    def _recording(self, shard: ClaimedShard, file: AudioFile, known: _Known | None) -> Recording | None:
        try:
            recording = self._begin(shard, file, known)
        except Exception as error:
            self._work.record(shard, file, error)
            return None
        if recording:
            self._work.mark_active_file(shard, file)
        return recording

    def _take_back(self, outcome: Outcome) -> None:
        in_work, file = self._away.pop(outcome.recording.key)  # type: ignore[call-overload]  # as above
        in_work.away -= 1
        in_work.seconds += outcome.seconds
        shard = in_work.shard
        if not self._work.holds(shard):
            return
        if isinstance(outcome.result, Exception):
            with self._unless_lost(in_work):
                self._work.record(shard, file, outcome.result)
        else:
            in_work.done.append(self._finish(file, outcome))
            if len(in_work.done) == 1:
                self._unwritten.append(in_work)
        self._write_if_due()
        with self._work.unless_lost(shard):
            self._end_if_back(in_work)

    def _end_if_back(self, in_work: _InWork[_Result]) -> None:
        """End a shard when its last recording is back."""
        if in_work.is_given and not in_work.away and self._work.holds(in_work.shard):
            self._write_one(in_work)
            self._work.end(in_work.shard, in_work.seconds)

    def _write_if_due(self) -> None:
        if time.monotonic() - self._written_at > file_loop.WRITE_SECONDS:
            self._write_all()

    def _write_all(self) -> None:
        for in_work in list(self._unwritten):
            with self._work.unless_lost(in_work.shard):
                self._write_one(in_work)
        self._written_at = time.monotonic()

    def _write_one(self, in_work: _InWork[_Result]) -> None:
        if in_work.done:
            self._unwritten.remove(in_work)
            done, in_work.done = in_work.done, []
            if self._work.holds(in_work.shard):
                file_loop.write_results(self._work, in_work.shard, done, self._write)


def _chain(first: Recording, others: Iterator[Recording]) -> Iterator[Recording]:
    yield first
    yield from others
