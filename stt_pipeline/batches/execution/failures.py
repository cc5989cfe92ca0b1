"""Records the failure of a single file; the others of its shard continue."""

import logging

from stt_pipeline.audio.address import display_name
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard, FileFailure
from stt_pipeline.batches.execution.listener import StepListener
from stt_pipeline.errors import (
    ConfigurationError,
    FileError,
    LeaseLostError,
    OutOfMemoryError,
    SourceUnavailableError,
    error_class_of,
)
from stt_pipeline.store.database import Database, is_disconnect
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import shards

_log = logging.getLogger(__name__)


class FailureRecorder:
    """Writes failures of files, and decides whether a file is tried again."""

    def __init__(self, database: Database, *, max_attempts: int, listener: StepListener) -> None:
        """A file with a transient error is tried up to ``max_attempts`` times."""
        self._database = database
        self._listener = listener
        self._max_attempts = max_attempts

    def record(self, shard: ClaimedShard, file: AudioFile, error: Exception) -> None:
        """Record that ``file`` failed, unless the error is not about this file.

        Raises:
            LeaseLostError: another run has the shard.
            SourceUnavailableError: the source of all files of the shard does not answer.
            ConfigurationError: no file can succeed.
            sqlalchemy.exc.DBAPIError: the connection to Postgres was lost.
        """
        if isinstance(error, (LeaseLostError, SourceUnavailableError, ConfigurationError)) or is_disconnect(
            error
        ):
            raise error
        if isinstance(error, MemoryError):
            error = OutOfMemoryError(f"There was not enough memory for this file: {error}")
        error_class = error_class_of(error)
        message = str(error) if isinstance(error, FileError) else f"{type(error).__name__}: {error}"
        is_transient = error.transient if isinstance(error, FileError) else True
        if not isinstance(error, FileError):
            _log.error("Unexpected error in %s", file.uri, exc_info=error)
        with self._database.begin() as connection:
            shard.verify(connection)
            status = files.record_failure(
                connection,
                file.id,
                error_class=error_class,
                error=message,
                retry_below=self._max_attempts if is_transient else 0,
            )
            shards.count_files(connection, [shard.shard.id])
        is_final = status in ("failed", "success")
        failure = FileFailure(display_name(file.uri), error_class, message, final=is_final)
        shard.failures.append(failure)
        self._listener.file_failed(shard, failure)
