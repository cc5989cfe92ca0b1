"""The part that every stage shares: claiming shards, keeping the leases alive, and letting a file fail alone.

What is done with the files is in ``transcribing`` and ``publishing``.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, TypeVar

from sqlalchemy import Connection

from stt_pipeline.audio.opening import open_source
from stt_pipeline.audio.patterns import DEFAULT_PATTERN
from stt_pipeline.audio.sources import OpenSource, Source
from stt_pipeline.audio.uris import display_name
from stt_pipeline.batches.heartbeat import Heartbeat
from stt_pipeline.batches.options import BatchOptions
from stt_pipeline.errors import (
    ConfigurationError,
    FileError,
    InvalidRequestError,
    LeaseLostError,
    OutOfMemoryError,
    SttError,
    error_class_of,
)
from stt_pipeline.store import batches, counters, files, leases, moves, shards
from stt_pipeline.store.batches import Batch
from stt_pipeline.store.database import Database
from stt_pipeline.store.files import AudioFile
from stt_pipeline.store.leases import Lease
from stt_pipeline.store.shards import Shard, Stage
from stt_pipeline.store.tables import shards as shards_table

log = logging.getLogger(__name__)

_FIRST_RETRY_SECONDS = 30.0
_LONGEST_RETRY_SECONDS = 600.0
# a person's backfill brings the next stage along itself; the dispatcher steps in when it does not
_LEAVE_TO_PERSON_SECONDS = 60.0
# of so many files, what is known of them is read at once
_FILES_AT_A_TIME = 20
# the results of so much work are written at once: with short recordings, a transaction for each would cost more than
# what a killed run has to do again
_WRITE_SECONDS = 1.0

_Known = TypeVar("_Known")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Claim:
    """Who asks for shards, and how.

    Attributes:
        keys: the partition keys of the run.
        stage: the stage that the step belongs to.
        run_id: Dagster's id of the run.
        token: what the dispatch wrote on its shards; None for a run that a person started.
        first_step: whether no earlier step of this run worked on these shards; there, a person's run gives failed
            files a new start.
        last_step: whether no later step of this run works on the same stage, so that the leases end with this one.
        reprocess: start all files over, those that succeeded too.
    """

    keys: Sequence[str]
    stage: Stage
    run_id: str
    token: str | None = None
    first_step: bool = True
    last_step: bool = True
    reprocess: bool = False


@dataclass(frozen=True, slots=True)
class FileFailure:
    """Why one file could not go on; ``final`` when it will not be tried again by itself."""

    name: str
    error_class: str
    error: str
    final: bool


@dataclass(frozen=True, slots=True)
class Done(Generic[_Result]):
    """What a step made of a file, to be written; ``seconds`` is the length of the recording."""

    file: AudioFile
    result: _Result
    seconds: float


@dataclass(slots=True)
class ShardWork:
    """One claimed shard, with what its files went through in this step.

    ``done`` counts the files that are past the step and ``audio_seconds`` their length; ``new_audio_seconds`` is the part
    that was worked on now, in ``busy_seconds``.
    """

    shard: Shard
    lease: Lease
    batch: Batch
    options: BatchOptions
    done: int = 0
    audio_seconds: float = 0.0
    new_audio_seconds: float = 0.0
    busy_seconds: float = 0.0
    failures: list[FileFailure] = field(default_factory=list)
    open_source: OpenSource = open_source
    _source: Source | None = None

    @property
    def key(self) -> str:
        """The shard's partition key."""
        return self.shard.key

    @property
    def source(self) -> Source:
        """Where the shard's files are.

        Raises:
            ConfigurationError: the whole source is away, so no file is blamed.
        """
        if self._source is None:
            try:
                self._source = self.open_source(
                    self.batch.source_path, self.batch.file_pattern or DEFAULT_PATTERN
                )
            except InvalidRequestError as error:
                raise ConfigurationError(f"The batch's source cannot be used now. {error}") from error
        return self._source

    def count(self, file: AudioFile, *, seconds: float | None = None) -> None:
        """Count ``file`` as past this step; ``seconds`` is its length if it was worked on now."""
        self.done += 1
        self.audio_seconds += file.duration or 0.0 if seconds is None else seconds
        self.new_audio_seconds += seconds or 0.0

    def report(self, file: AudioFile, reason: str) -> None:
        """Show why ``file`` is not past this step, without blaming it anew."""
        self.failures.append(
            FileFailure(display_name(file.uri), file.error_class or "", reason, final=file.status == "failed")
        )

    def prove(self, connection: Connection) -> None:
        """Make sure, before a result is written, that the shard is still ours (see ``leases.prove``)."""
        leases.prove(connection, shards_table, self.lease)


Step = Callable[[ShardWork, AudioFile, _Known | None], Done[_Result] | None]
"""Works on one file, given what is known of it; returns what is to be written, if anything."""

Read = Callable[[Connection, ShardWork, Sequence[AudioFile]], Mapping[int, _Known]]
"""Returns what is known of some files of a shard, by id."""

Write = Callable[[Connection, ShardWork, Sequence[Done[_Result]]], None]
"""Stores what came out, in a transaction in which the lease was proved."""


class Work:
    """The shards that a run may work on in one step: a context manager that claims them and gives them back.

    After entering, ``shards`` are ours and ``refused`` says of each other key why it is not.
    """

    def __init__(
        self,
        database: Database,
        claim: Claim,
        *,
        lease_seconds: int,
        max_attempts: int,
        open_source: OpenSource = open_source,
    ) -> None:
        """Prepare; nothing is claimed before the block is entered."""
        self._open_source = open_source
        self.database = database
        self.shards: list[ShardWork] = []
        self.refused: dict[str, str] = {}
        self.reprocess = claim.reprocess
        self._claim = claim
        self._lease_seconds = lease_seconds
        self._max_attempts = max_attempts
        self._heartbeat = Heartbeat(
            database, shards_table, lambda: [work.lease for work in self.shards], lease_seconds
        )

    def __enter__(self) -> "Work":
        """Claim what may be claimed."""
        with self.database.begin() as connection:
            batches.lock_of_shards(connection, self._claim.keys)
            found = shards.lock(connection, self._claim.keys)
            known = {
                batch_id: batches.get(connection, batch_id)
                for batch_id in sorted({shard.batch_id for shard, _ in found})
            }
            for shard, state in found:
                batch = known[shard.batch_id]
                refusal = leases.refusal(state, run_id=self._claim.run_id, token=self._claim.token)
                is_over = batch.status in ("cancelled", "deleting")
                if is_over or (refusal and batch.status == "paused"):
                    refusal = f"batch {batch.id} is {batch.status}"
                if refusal:
                    self.refused[shard.key] = refusal
                    continue
                lease = leases.claim(
                    connection,
                    shards_table,
                    shard.id,
                    state,
                    run_id=self._claim.run_id,
                    seconds=self._lease_seconds,
                )
                if self._claim.token is None and self._claim.first_step:
                    self._reopen(connection, shard)
                options = BatchOptions.model_validate(dict(batch.options))
                self.shards.append(ShardWork(shard, lease, batch, options, open_source=self._open_source))
            missing = set(self._claim.keys) - {shard.key for shard, _ in found}
        self.refused |= dict.fromkeys(missing, "the store has no such shard; its batch may have been deleted")
        self._heartbeat.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the shards back: after the last step of the stage, or when the run cannot go on."""
        self._heartbeat.__exit__(kind, error, trace)
        if error is None and not self._claim.last_step:
            return
        with self.database.begin() as connection:
            batches.lock_of_shards(connection, [work.key for work in self.shards])
            for work in self.shards:
                shards.give_back(
                    connection,
                    work.lease,
                    advance=error is None,
                    retry_seconds=min(
                        _LONGEST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** max(0, work.shard.tries - 1)
                    ),
                    next_stage_seconds=_LEAVE_TO_PERSON_SECONDS if self._claim.token is None else 0.0,
                )
            if isinstance(error, InvalidRequestError):
                return  # a person's mistake, and no news about the batch
            for batch_id in {work.batch.id for work in self.shards}:
                batches.note_error(connection, batch_id, self._note(error))

    def _note(self, error: BaseException | None) -> str | None:
        """Return what the batch shows of a run that could not go on; None takes an older note away."""
        if error is None:
            return None
        if isinstance(error, SttError):
            return str(error)
        return f"Run {self._claim.run_id} ended early; its log in the Dagster UI says why."

    def for_each_file(
        self,
        step: Step[_Known, _Result],
        *,
        read: Read[_Known] | None = None,
        write: Write[_Result],
    ) -> None:
        """Take the files of the claimed shards through a step, in order; a file that raises fails alone.

        What came out is written about once a second; if that raises, once more for each file alone. A shard whose lease
        was lost meanwhile is left where it is, and reported as refused.

        Raises:
            ConfigurationError: no file can succeed, so none is blamed.
        """
        for shard in list(self.shards):
            if self._is_put_off(shard):
                continue
            started = time.monotonic()
            try:
                self._work_on(shard, step, read, write)
                shard.busy_seconds = time.monotonic() - started
                with self.database.begin() as connection:
                    shard.prove(connection)
                    shards.count_files(connection, [shard.shard.id])
                    shards.add_busy_seconds(connection, shard.shard.id, shard.busy_seconds)
            except LeaseLostError as lost:
                self.shards.remove(shard)
                self.refused[shard.key] = str(lost)

    def _is_put_off(self, shard: ShardWork) -> bool:
        """Give a shard back that is not begun yet, because somebody paused its batch; a person's own run goes on."""
        if self._claim.token is None or self._claim.last_step:
            return False
        with self.database.begin() as connection:
            if batches.get(connection, shard.batch.id).status != "paused":
                return False
            leases.release(connection, shards_table, shard.lease, not_before=None)
        self.shards.remove(shard)
        self.refused[shard.key] = f"batch {shard.batch.id} is paused"
        return True

    def _work_on(
        self,
        shard: ShardWork,
        step: Step[_Known, _Result],
        read: Read[_Known] | None,
        write: Write[_Result],
    ) -> None:
        with self.database.begin() as connection:
            shard.prove(connection)
            manifest = files.of_shard(connection, shard.shard.id)
        done: list[Done[_Result]] = []
        written_at = time.monotonic()
        for first in range(0, len(manifest), _FILES_AT_A_TIME):
            some = manifest[first : first + _FILES_AT_A_TIME]
            known: Mapping[int, _Known] = {}
            if read:
                with self.database.begin() as connection:
                    known = read(connection, shard, some)
            for file in some:
                self._take_in_hand(shard, file)
                try:
                    result = step(shard, file, known.get(file.id))
                except Exception as error:
                    self._record(shard, file, error)
                else:
                    done += [result] if result else []
                if done and time.monotonic() - written_at > _WRITE_SECONDS:
                    self._write(shard, done, write)
                    done, written_at = [], time.monotonic()
        if done:
            self._write(shard, done, write)

    def _take_in_hand(self, shard: ShardWork, file: AudioFile) -> None:
        """Note the file that is worked on, where another death would be the last: then it is the one that fails."""
        if shard.shard.deaths + 1 < self._max_attempts or file.status not in ("pending", "transcribed"):
            return
        with self.database.begin() as connection:
            shards.take_in_hand(connection, shard.lease, file.id)

    def _write(
        self,
        shard: ShardWork,
        done: Sequence[Done[_Result]],
        write: Write[_Result],
    ) -> None:
        try:
            with self.database.begin() as connection:
                shard.prove(connection)
                write(connection, shard, done)
        except Exception as error:
            if len(done) == 1:
                self._record(shard, done[0].file, error)
            else:
                for one in done:
                    self._write(shard, [one], write)
        else:
            for one in done:
                shard.count(one.file, seconds=one.seconds)

    def _record(self, work: ShardWork, file: AudioFile, error: Exception) -> None:
        """Record that ``file`` failed, unless the error is not about it.

        Raises:
            LeaseLostError: the shard is another run's.
            ConfigurationError: no file can succeed.
        """
        if isinstance(error, (LeaseLostError, ConfigurationError)):
            raise error
        if isinstance(error, MemoryError):
            error = OutOfMemoryError(f"There was not enough memory for this file: {error}")
        error_class = error_class_of(error)
        message = str(error) if isinstance(error, FileError) else f"{type(error).__name__}: {error}"
        may_pass = error.transient if isinstance(error, FileError) else True
        if not isinstance(error, FileError):
            log.error("Unexpected error in %s", file.uri, exc_info=error)
        with self.database.begin() as connection:
            work.prove(connection)
            status = files.record_failure(
                connection,
                file.id,
                error_class=error_class,
                error=message,
                retry_below=self._max_attempts if may_pass else 0,
            )
            shards.count_files(connection, [work.shard.id])
            if status == "failed":
                counters.add_throughput(connection, work.batch.id, files=1, audio_seconds=0.0)
        work.failures.append(
            FileFailure(display_name(file.uri), error_class, message, final=status == "failed")
        )

    def _reopen(self, connection: Connection, shard: Shard) -> None:
        again = files.reopen(
            connection,
            [shard.id],
            every_file=self._claim.reprocess,
            from_speech=self._claim.stage == "transcribe",
        )
        if again:
            shards.open_again(connection, [shard.id])
            moves.reopen(connection, shard.batch_id)
