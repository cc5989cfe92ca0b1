"""Polls that many streams share: one call for each key at a time, whose result is used for some seconds."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

_MAX_POLLS = 4  # at a time; their own threads, so that streams do not use up those of other requests

K = TypeVar("K")
T = TypeVar("T")


class SharedPolls(Generic[K, T]):
    """Calls a function for a key in a thread, at most once per ``poll_seconds``."""

    def __init__(self, poll: Callable[[K], T], poll_seconds: float) -> None:
        """Store the arguments."""
        self.poll_seconds = poll_seconds
        self._poll = poll
        self._limiter = CapacityLimiter(_MAX_POLLS)
        self._polls: dict[K, asyncio.Task[T]] = {}

    async def get(self, key: K) -> T:
        """Return the result for ``key``, at most ``poll_seconds`` old; errors of the function are raised."""
        poll = self._polls.get(key)
        if poll is None:
            poll = asyncio.ensure_future(self._call(key))
            self._polls[key] = poll
            poll.add_done_callback(lambda _: self._expire_later(key))
        # a stream that ends while it waits must not cancel the poll of the others
        return await asyncio.shield(poll)

    async def _call(self, key: K) -> T:
        return await to_thread.run_sync(self._poll, key, limiter=self._limiter)

    def _expire_later(self, key: K) -> None:
        asyncio.get_running_loop().call_later(self.poll_seconds, self._polls.pop, key, None)
