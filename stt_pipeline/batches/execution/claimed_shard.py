"""A shard in the hands of a run: what it is, and what became of its files in one step.

Claiming shards is in ``work``, taking their files through a step in ``steps``.
"""

import threading
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sqlalchemy import Connection

from stt_pipeline.audio.address import display_name
from stt_pipeline.audio.opening import open_source
from stt_pipeline.audio.patterns import DEFAULT_PATTERN
from stt_pipeline.audio.sources import OpenSource, Source
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
class ClaimedShard:
    """One claimed shard, with what its files went through in this step.

    ``done`` counts the files that are past the step and ``audio_seconds`` their length; ``new_audio_seconds`` is the part
    that was worked on now, in ``busy_seconds`` of work.
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
    _source: Source | SttError | None = None
    _opening: threading.Lock = field(default_factory=threading.Lock)

    @property
    def key(self) -> str:
        """The shard's partition key."""
        return self.shard.key

    @property
    def source(self) -> Source:
        """Where the shard's files are; opened once, in whatever thread asks first.

        Raises:
            ConfigurationError: the whole source is away, so no file is blamed.
            SourceUnavailableError: it does not answer at the moment.
        """
        with self._opening:
            if self._source is None:
                self._source = self._opened()
        if isinstance(self._source, SttError):
            raise self._source
        return self._source

    def _opened(self) -> Source | SttError:
        """Return the source, or what is wrong with it: who asks next need not wait for the same answer."""
        try:
            return self.open_source(self.batch.source_path, self.batch.file_pattern or DEFAULT_PATTERN)
        except InvalidRequestError as error:
            wrong = ConfigurationError(f"The batch's source cannot be used now. {error}")
            wrong.__cause__ = error
            return wrong
        except SttError as error:
            return error

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

    def verify(self, connection: Connection) -> None:
        """Make sure, before a result is written, that the shard is still ours (see ``leases.verify``)."""
        leases.verify(connection, shards_table, self.lease)
