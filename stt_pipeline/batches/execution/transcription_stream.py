"""The loop that takes the files of a run's shards through a transcriber: several shards at once, results in any order.

Everything but the transcriber itself runs in one thread. The loop of the other steps is in ``file_loop``.
"""

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from stt_pipeline.batches.execution import file_loop
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard, Done, PreemptedError
from stt_pipeline.batches.execution.file_loop import Read, Write
from stt_pipeline.batches.execution.run_size import MOST_AUDIO_SECONDS, MOST_SECONDS, long_ones
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.batches.execution.transcriber_thread import outcomes_of
from stt_pipeline.errors import ConfigurationError, SourceUnavailableError
from stt_pipeline.speech.recordings import Outcome, Recording
from stt_pipeline.speech.transcriber import Transcriber
from stt_pipeline.store.manifest.files import AudioFile

_RUN_IS_FULL = f"this run has {MOST_AUDIO_SECONDS / 3600:.0f} hours of audio, and a later run continues it"
_RUN_IS_LONG = f"this run has transcribed for {MOST_SECONDS / 60:.0f} minutes, and a later run continues it"

_Known = TypeVar("_Known")
_Result = TypeVar("_Result")

Begin = Callable[[ClaimedShard, AudioFile, _Known | None], Recording | None]
"""Returns the recording to transcribe, given the row that was read for its file; None if there is nothing to do."""

Finish = Callable[[AudioFile, Outcome], Done[_Result]]
"""Returns what is to be written of an outcome that is a transcript."""


def transcribe_each_file(
    claims: ShardClaims,
    transcriber_of: Callable[[ClaimedShard], Transcriber],
    begin: Begin[_Known],
    finish: Finish[_Result],
    *,
    key: Callable[[ClaimedShard], Hashable],
    read: Read[_Known],
    write: Write[_Result],
) -> None:
    """Transcribe the files of all claimed shards together, so that files of several shards share model batches.

    As with :func:`~stt_pipeline.batches.execution.file_loop.for_each_file`, a file fails alone. A careful run transcribes
    one recording at a time.

    A run of the dispatcher hands back the shards that do not belong into it (``run_size``), those that it has not begun
    after ``MOST_SECONDS``, and all that are not complete when it is preempted. Their transcripts are kept.

    Args:
        transcriber_of: returns the transcriber of a shard; called only if there is something to transcribe.
        key: shards with equal keys have the same transcriber.

    Raises:
        ConfigurationError: no file can succeed, so none has failed.
    """
    groups: dict[Hashable, list[ClaimedShard]] = {}
    for shard in claims.shards:
        groups.setdefault(key(shard), []).append(shard)
    for shards in groups.values():
        stream = _Stream(
            claims, _without_long_ones(claims, shards), transcriber_of, begin, finish, read, write
        )
        recordings = stream.recordings()
        try:
            if claims.is_careful:
                for recording in recordings:
                    stream.transcribe(iter([recording]))
            else:
                stream.transcribe(recordings)
        except PreemptedError:
            pass  # what came back by then is written below
        stream.hand_back_unfinished()


def _without_long_ones(claims: ShardClaims, shards: list[ClaimedShard]) -> list[ClaimedShard]:
    """Return the shards without those that the others must not wait for, which are handed back."""
    if not claims.is_dispatched:
        return shards
    long = long_ones({shard: shard.shard.probed_seconds for shard in shards})
    for shard in long:
        claims.hand_back(
            shard, "it is much longer than the others of this run, and a later run transcribes it"
        )
    return [shard for shard in shards if shard not in long]


@dataclass(slots=True, eq=False)
class _ShardState(Generic[_Result]):
    """A shard with recordings in the transcriber, or with outcomes that are not written yet."""

    shard: ClaimedShard
    in_flight: int = 0
    all_submitted: bool = False
    complete: bool = False
    seconds: float = 0.0
    done: list[Done[_Result]] = field(default_factory=list)


class _Stream(Generic[_Known, _Result]):
    """The recordings of some shards on their way through one transcriber."""

    def __init__(
        self,
        claims: ShardClaims,
        shards: Sequence[ClaimedShard],
        transcriber_of: Callable[[ClaimedShard], Transcriber],
        begin: Begin[_Known],
        finish: Finish[_Result],
        read: Read[_Known],
        write: Write[_Result],
    ) -> None:
        self._claims = claims
        self._shards = shards
        self._transcriber_of = transcriber_of
        self._begin = begin
        self._finish = finish
        self._read = read
        self._write = write
        self._in_flight: dict[int, tuple[_ShardState[_Result], AudioFile]] = {}
        self._states = [_ShardState[_Result](shard) for shard in shards]
        self._unwritten: list[_ShardState[_Result]] = []
        self._audio_seconds = 0.0  # of the recordings that were given to the transcriber
        self._started_at: float | None = None
        self._stopped: str | None = None  # why the run takes no more recordings
        self._written_at = time.monotonic()

    def recordings(self) -> Iterator[Recording]:
        """Yield the recordings to transcribe; a shard is begun when its first file is requested."""
        for state in self._states:
            shard = state.shard
            if self._is_to_stop_before_shard():
                return
            with self._working_on(state):
                for file, known in file_loop.files_of(self._claims, shard, self._read):
                    self._write_if_due()
                    recording = self._recording(shard, file, known)
                    if recording is None:
                        continue
                    if self._is_to_stop_before(file):
                        return
                    state.in_flight += 1
                    self._in_flight[file.id] = state, file
                    self._claims.watchdog.begin(shard, file)
                    yield recording
                    if not self._claims.holds(shard):
                        break  # an outcome that came back meanwhile found that it is lost
                state.all_submitted = True
                self._finish_if_complete(state)

    def transcribe(self, recordings: Iterator[Recording]) -> None:
        """Send recordings through the transcriber and write its outcomes."""
        first = next(recordings, None)
        if first is None:
            return
        state, _ = self._in_flight[first.key]  # type: ignore[index]  # a file's id, by `_recording`
        try:
            transcriber = self._transcriber_of(state.shard)
        except ConfigurationError as error:  # all shards here need this transcriber
            self._claims.show_error(self._shards, error)
            raise
        self._started_at = self._started_at or time.monotonic()
        try:
            outcomes = outcomes_of(
                transcriber,
                _chain(first, recordings),
                while_waiting=self._while_waiting,
                every_seconds=file_loop.WRITE_SECONDS,
                on_progress=self._claims.watchdog.progress,
            )
            with closing(outcomes):
                for outcome in outcomes:
                    self._receive(outcome)
        except ConfigurationError as error:
            self._write_all()
            # the error is about one recording of those in the transcriber; it does not tell which
            self._claims.show_error([state.shard for state, _ in self._in_flight.values()], error)
            raise
        self._write_all()

    def hand_back_unfinished(self) -> None:
        """If the run stopped before its last recording, hand back the shards that have files left."""
        reason = str(PreemptedError()) if self._claims.is_preempted else self._stopped
        if reason is None:
            return
        self._write_all()
        for state in self._states:
            if not state.complete:
                self._claims.hand_back(state.shard, reason, busy_seconds=state.seconds)

    def _is_to_stop_before_shard(self) -> bool:
        """Return whether the run begins no more shards. A shard that it has begun is not cut by time."""
        is_dispatched, started_at = self._claims.is_dispatched, self._started_at
        if is_dispatched and started_at is not None and time.monotonic() - started_at > MOST_SECONDS:
            self._stopped = _RUN_IS_LONG
        return self._stopped is not None

    def _is_to_stop_before(self, file: AudioFile) -> bool:
        """Return whether the run takes no more recordings; a run takes at least one."""
        if self._claims.is_preempted:
            return True
        length = file.duration or 0.0
        is_too_much = self._audio_seconds > 0 and self._audio_seconds + length > MOST_AUDIO_SECONDS
        if is_too_much and self._claims.is_dispatched:
            self._stopped = _RUN_IS_FULL
        self._audio_seconds += length
        return self._stopped is not None

    def _while_waiting(self) -> None:
        self._write_if_due()
        self._claims.finished.flush_if_due()
        if self._claims.is_preempted:
            raise PreemptedError

    @contextmanager
    def _working_on(self, state: _ShardState[_Result]) -> Iterator[None]:
        """As ``ShardClaims.working_on``; outcomes that came back before the source was unavailable are written."""
        with self._claims.working_on(state.shard):
            try:
                yield
            except SourceUnavailableError:
                with self._claims.working_on(state.shard):
                    self._write_one(state)
                raise

    def _recording(self, shard: ClaimedShard, file: AudioFile, known: _Known | None) -> Recording | None:
        try:
            recording = self._begin(shard, file, known)
        except Exception as error:
            self._claims.failures.record(shard, file, error)
            return None
        if recording:
            self._claims.crash_guard.mark_active_file(shard, file)
        return recording

    def _receive(self, outcome: Outcome) -> None:
        state, file = self._in_flight.pop(outcome.recording.key)  # type: ignore[call-overload]  # as above
        self._claims.watchdog.end(file)
        state.in_flight -= 1
        state.seconds += outcome.seconds
        shard = state.shard
        if not self._claims.holds(shard):
            return
        if isinstance(outcome.result, Exception):
            with self._working_on(state):
                self._claims.failures.record(shard, file, outcome.result)
        else:
            state.done.append(self._finish(file, outcome))
            if len(state.done) == 1:
                self._unwritten.append(state)
        self._while_waiting()
        with self._claims.working_on(shard):
            self._finish_if_complete(state)

    def _finish_if_complete(self, state: _ShardState[_Result]) -> None:
        if state.all_submitted and not state.in_flight and self._claims.holds(state.shard):
            self._write_one(state)
            self._claims.finish(state.shard, state.seconds)
            state.complete = True

    def _write_if_due(self) -> None:
        if time.monotonic() - self._written_at > file_loop.WRITE_SECONDS:
            self._write_all()

    def _write_all(self) -> None:
        for state in list(self._unwritten):
            with self._claims.working_on(state.shard):
                self._write_one(state)
        self._written_at = time.monotonic()

    def _write_one(self, state: _ShardState[_Result]) -> None:
        if state.done:
            self._unwritten.remove(state)
            done, state.done = state.done, []
            if self._claims.holds(state.shard):
                file_loop.write_results(self._claims, state.shard, done, self._write)


def _chain(first: Recording, others: Iterator[Recording]) -> Iterator[Recording]:
    yield first
    yield from others
