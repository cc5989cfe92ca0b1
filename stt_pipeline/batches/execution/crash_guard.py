"""Finds the file that crashes its runs, when a shard is close to its last attempt.

The dispatcher reads the mark after a crash (``dispatch``), and fails that file alone.
"""

from collections.abc import Iterable

from sqlalchemy import Connection

from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import crashes


class CrashGuard:
    """Marks the active file of a careful run.

    Attributes:
        is_careful: the next crash may be the last one of a shard, so the run processes one file at a time and marks it.
            It holds for all shards of a run: a process that crashes with several active files may have died of any.
    """

    def __init__(self, database: Database, *, max_attempts: int) -> None:
        """A run is not careful before :meth:`check`."""
        self.is_careful = False
        self._database = database
        self._max_attempts = max_attempts

    def check(self, shards: Iterable[ClaimedShard]) -> None:
        """Set ``is_careful`` from the crashes of the claimed shards."""
        self.is_careful = any(is_last_attempt(shard.shard.crashes, self._max_attempts) for shard in shards)

    def mark_active_file(self, shard: ClaimedShard, file: AudioFile) -> None:
        """Mark the file that a careful run is about to process: if the process crashes, this file fails.

        Raises:
            LeaseLostError: another run has the shard.
        """
        if self.is_careful and file.status in ("pending", "transcribed"):
            with self._database.begin() as connection:
                crashes.mark_active_file(connection, shard.lease, file.id)

    def clear_active_file(self, connection: Connection, shard: ClaimedShard) -> None:
        """Remove the mark of a careful run."""
        if self.is_careful:
            crashes.clear_active_file(connection, [shard.shard.id])


def is_last_attempt(crash_count: int, max_attempts: int) -> bool:
    """Return whether the next crash is the last one that a shard is allowed; the first crash never is."""
    return crash_count + 1 >= max(max_attempts, 2)
