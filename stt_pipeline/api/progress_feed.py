"""Progress for many streams: one poll of a batch per second, shared by all its streams, and few polls at a time."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException

from stt_pipeline.batches.queries.progress import Progress, progress
from stt_pipeline.store.database import Database

POLL_SECONDS = 1.0
MAX_STREAMS = 300
STREAM_SECONDS = 300.0
"""Then the stream ends, a browser connects again, and its key is checked again."""
_MAX_POLLS = 4  # at a time; their own threads, so that streams do not use up those of other requests


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
        self._database = database
        self._limiter = CapacityLimiter(_MAX_POLLS)
        self._polls: dict[int, asyncio.Task[Progress]] = {}
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
        poll = self._polls.get(batch_id)
        if poll is None:
            poll = asyncio.ensure_future(self._poll(batch_id))
            self._polls[batch_id] = poll
            poll.add_done_callback(lambda _: self._expire_later(batch_id))
        # a stream that ends while it waits must not cancel the poll of the others
        return await asyncio.shield(poll)

    async def _poll(self, batch_id: int) -> Progress:
        return await to_thread.run_sync(progress, self._database, batch_id, limiter=self._limiter)

    def _expire_later(self, batch_id: int) -> None:
        asyncio.get_running_loop().call_later(self.poll_seconds, self._polls.pop, batch_id, None)
