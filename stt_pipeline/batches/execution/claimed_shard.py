"""A shard that a run has claimed: its batch, its source, and the results of its files in one step.

Shards are claimed in ``shard_claims``; ``file_loop`` and ``transcription_stream`` take their files through a step.
"""

import threading
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sqlalchemy import Connection

from stt_pipeline.audio.address import display_name
from stt_pipeline.audio.opening import open_source
from stt_pipeline.audio.patterns import DEFAULT_PATTERN
from stt_pipeline.audio.sources import OpenSource, Source
from stt_pipeline.batches.requests.fingerprint import Fingerprints
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.errors import ConfigurationError, InvalidRequestError, SttError
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import leases
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline.store.queue.leases import Lease
from stt_pipeline.store.queue.shards import Shard
from stt_pipeline.store.tables import shards as shards_table

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class FileFailure:
    """Why one file has not passed the step; a ``final`` failure is not tried again automatically."""

    name: str
    error_class: str
    error: str
    final: bool


@dataclass(frozen=True, slots=True)
class Done(Generic[_Result]):
    """A step's result for a file, to be written.

    Attributes:
        seconds: length of the recording.
        busy_seconds: work that was spent on it.
    """

    file: AudioFile
    result: _Result
    seconds: float
    busy_seconds: float = 0.0


class PreemptedError(Exception):
    """A run of a higher priority waits for the place of this run, so it hands its shards back."""

    def __init__(self) -> None:
        """The message is the reason in the run's log."""
        super().__init__(
            "a batch of higher priority takes the place of this run, and a later run continues it"
        )


@dataclass(slots=True, eq=False)
class ClaimedShard:
    """One claimed shard, with the results of its files in this step.

    Attributes:
        fingerprints: of the batch's options as they are now.
        done: number of files that have passed the step.
        new: the part of them that was processed now.
        audio_seconds: length of the files that have passed.
        new_audio_seconds: the part of it that was processed now.
        busy_seconds: time that this processing took.
        failures: files that have not passed the step.
        failed_elsewhere: files that this step leaves out, because they failed for good in another step.
        notes: sentences about files that passed, but with which the step did less than usual, on purpose.
        preempted: the run is to hand the shard back.
        released: the shard has passed the last step of its stage, and the run has no lease on it any more.
    """

    shard: Shard
    lease: Lease
    batch: Batch
    options: BatchOptions
    fingerprints: Fingerprints
    done: int = 0
    new: int = 0
    audio_seconds: float = 0.0
    new_audio_seconds: float = 0.0
    busy_seconds: float = 0.0
    preempted: bool = False
    released: bool = False
    failures: list[FileFailure] = field(default_factory=list)
    failed_elsewhere: list[FileFailure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    open_source: OpenSource = open_source
    _source: Source | SttError | None = None
    _opening: threading.Lock = field(default_factory=threading.Lock)

    @property
    def key(self) -> str:
        """The shard's partition key."""
        return self.shard.key

    @property
    def source(self) -> Source:
        """The source of the shard's files, opened once; any thread may call this.

        Raises:
            ConfigurationError: the whole source cannot be used, so no file failed.
            SourceUnavailableError: the source does not answer at the moment.
        """
        with self._opening:
            if self._source is None:
                self._source = self._open_source()
        if isinstance(self._source, SttError):
            raise self._source
        return self._source

    def _open_source(self) -> Source | SttError:
        """Return the source, or the error: later callers must not wait for the same error."""
        try:
            return self.open_source(self.batch.source_path, self.batch.file_pattern or DEFAULT_PATTERN)
        except InvalidRequestError as error:
            unusable = ConfigurationError(f"The batch's source cannot be used now. {error}")
            unusable.__cause__ = error
            return unusable
        except SttError as error:
            return error

    def count(self, file: AudioFile, *, seconds: float | None = None) -> None:
        """Count ``file`` as done in this step; ``seconds`` is its length if it was processed now."""
        self.done += 1
        self.new += seconds is not None
        self.audio_seconds += file.duration or 0.0 if seconds is None else seconds
        self.new_audio_seconds += seconds or 0.0

    def report(self, file: AudioFile, reason: str) -> None:
        """Show why ``file`` has not passed this step, without recording another failure."""
        self.failures.append(_failure(file, reason))

    def leave_out(self, file: AudioFile) -> None:
        """Note a file that failed for good in another step."""
        self.failed_elsewhere.append(_failure(file, file.error or ""))

    def verify(self, connection: Connection) -> None:
        """Check, before a result is written, that this run still has the lease (see ``leases.verify``)."""
        row = leases.verify(connection, shards_table, self.lease, shards_table.c.preempted_token)
        self.preempted = row.preempted_token == self.lease.token


def _failure(file: AudioFile, reason: str) -> FileFailure:
    return FileFailure(
        display_name(file.uri), file.error_class or "", reason, final=file.status in ("failed", "success")
    )
