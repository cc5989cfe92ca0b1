"""Progress for many who watch: one look at a batch a second, however many streams it has, and few looks at once."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException

from stt_pipeline.batches.queries.progress import Progress, progress
from stt_pipeline.store.database import Database

LOOK_SECONDS = 1.0
MOST_STREAMS = 300
_LOOKS_AT_ONCE = 4  # threads of their own, so that streams leave the other requests theirs


class ProgressFeed:
    """What the streams of one app share."""

    def __init__(self, database: Database) -> None:
        """Look at nothing yet."""
        self._database = database
        self._limiter = CapacityLimiter(_LOOKS_AT_ONCE)
        self._looks: dict[int, asyncio.Task[Progress]] = {}
        self._streams = 0

    def require_seat(self) -> None:
        """Refuse a stream before it begins, where there are too many.

        Raises:
            HTTPException: 503.
        """
        if self._streams >= MOST_STREAMS:
            raise HTTPException(
                503,
                f"There are {MOST_STREAMS} streams already: ask for /progress instead.",
                {"Retry-After": "60"},
            )

    @contextmanager
    def seat(self) -> Iterator[None]:
        """Count a stream for as long as it lasts."""
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    async def progress(self, batch_id: int) -> Progress:
        """Return the figures of a batch, at most a second old.

        Raises:
            NotFoundError: there is no such batch.
        """
        look = self._looks.get(batch_id)
        if look is None:
            look = asyncio.ensure_future(self._look(batch_id))
            self._looks[batch_id] = look
            look.add_done_callback(lambda _: self._forget_later(batch_id))
        # a stream that ends while it waits must not take the look away from the others
        return await asyncio.shield(look)

    async def _look(self, batch_id: int) -> Progress:
        return await to_thread.run_sync(progress, self._database, batch_id, limiter=self._limiter)

    def _forget_later(self, batch_id: int) -> None:
        asyncio.get_running_loop().call_later(LOOK_SECONDS, self._looks.pop, batch_id, None)
