"""Progress for many streams: one poll of a batch per second, shared by all its streams, and few polls at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.exceptions import HTTPException

from stt_pipeline.api.shared_polls import SharedPolls
from stt_pipeline.batches.queries.progress import Progress, progress
from stt_pipeline.store.database import Database

POLL_SECONDS = 1.0
MAX_STREAMS = 300
STREAM_SECONDS = 300.0
"""Then the stream ends, and a browser connects again."""


class ProgressFeed:
    """The polls that all streams of one app share."""

    def __init__(
        self,
        database: Database,
        *,
        poll_seconds: float = POLL_SECONDS,
        stream_seconds: float = STREAM_SECONDS,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        """Store the arguments; the first stream polls.

        Args:
            database: the store.
            poll_seconds: time for which the result of a poll is used.
            stream_seconds: the longest duration of a stream.
            max_streams: streams at a time.
        """
        self.poll_seconds = poll_seconds
        self.stream_seconds = stream_seconds
        self._max_streams = max_streams
        self._polls = SharedPolls[int, Progress](lambda batch_id: progress(database, batch_id), poll_seconds)
        self._streams = 0

    def require_free_stream(self) -> None:
        """Reject a stream before it begins if there are too many.

        Raises:
            HTTPException: 503.
        """
        if self._streams >= self._max_streams:
            raise HTTPException(
                503,
                f"There are {self._max_streams} streams already: request /progress instead.",
                {"Retry-After": "60"},
            )

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Count a stream for the length of the block."""
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    async def progress(self, batch_id: int) -> Progress:
        """Return the progress of a batch, at most ``poll_seconds`` old.

        Raises:
            NotFoundError: the batch does not exist.
        """
        return await self._polls.get(batch_id)
