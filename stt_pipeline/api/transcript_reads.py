"""Requests that read whole transcripts: a few at a time, and their memory goes back to the operating system.

The text of an hour with its words takes about 20 MB while it is read. On 40 threads, each with a heap of its own, glibc would
keep gigabytes after a few downloads at a time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException

from stt_pipeline.speech.freed_memory import give_back_freed_memory

MAX_READS = 2  # they keep a core busy each, and share the interpreter's lock
MAX_DOWNLOADS = 20  # of whole batches: each keeps up to two hours of text

P = ParamSpec("P")
T = TypeVar("T")


class TranscriptReads:
    """The limits of one app."""

    def __init__(self, *, max_reads: int = MAX_READS, max_downloads: int = MAX_DOWNLOADS) -> None:
        """Store the limits.

        Args:
            max_reads: transcripts that are read at a time; other requests wait, without a thread.
            max_downloads: downloads of whole batches at a time; others are refused.
        """
        self._limiter = CapacityLimiter(max_reads)
        self._max_downloads = max_downloads
        self._downloads = 0

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``work`` in a thread, and return its result."""
        return await to_thread.run_sync(
            partial(_then_give_back, work, *args, **kwargs), limiter=self._limiter
        )

    def require_free_download(self) -> None:
        """Reject a download of a batch before it begins if there are too many.

        Raises:
            HTTPException: 503, there are too many.
        """
        if self._downloads >= self._max_downloads:
            raise HTTPException(
                503,
                f"There are {self._max_downloads} downloads of batches already: try again when one has ended.",
                {"Retry-After": "60"},
            )

    @contextmanager
    def download(self) -> Iterator[None]:
        """Count a download of a batch for the length of the block."""
        self._downloads += 1
        try:
            yield
        finally:
            self._downloads -= 1
            give_back_freed_memory()


def _then_give_back(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return work(*args, **kwargs)
    finally:
        give_back_freed_memory()
