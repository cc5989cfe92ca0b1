"""List a bucket's prefix in order of key: page by page, and in parallel where the folders allow it.

S3 returns a thousand keys a request, and latency dominates. So the keys behind the first page are split into ranges at
folder boundaries, which one request with a delimiter returns. Several ranges are listed in parallel and yielded in order.
Nothing is known of audio or patterns here.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from stt_pipeline.audio.s3_client import PARALLEL_LISTINGS

_MAX_RANGES = 32
_PAGES_PER_RANGE = 3
_MAX_DEPTH = 10  # of nested folders that contain a single folder each
_PAGES_AHEAD = 16  # of each range that is listed in parallel; a page has up to a thousand keys, about 400 kB
_MAX_PAGES_BETWEEN = 64

Entry = dict[str, Any]
"""An object as S3 lists it: Key, Size, ETag, LastModified."""
_Page = TypeVar("_Page")


@dataclass(frozen=True, slots=True)
class _Split:
    """How to split the remaining keys: each range ends at one of ``ends``. ``is_all``: no keys follow the last end."""

    ends: list[str]
    is_all: bool


@dataclass(slots=True)
class Prefix:
    """The keys under ``name`` in a bucket."""

    client: Any
    bucket: str
    name: str

    def pages(self, after: str, until: str | None = None) -> Iterator[tuple[list[Entry], bool]]:
        """Yield (objects, whether more may follow) per request: keys after ``after``, up to and including ``until``."""
        request = {"StartAfter": after} if after else {}
        while True:
            answer = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.name, **request)
            entries = answer.get("Contents", [])
            more = bool(answer.get("IsTruncated"))
            if until is not None and entries and entries[-1]["Key"] >= until:
                more = False
                entries = [entry for entry in entries if entry["Key"] <= until]
            yield entries, more
            if not more:
                return
            request = {"ContinuationToken": answer["NextContinuationToken"]}

    def in_order(self, after: str, prepare: Callable[[list[Entry]], _Page]) -> Iterator[_Page]:
        """Yield ``prepare(page)`` for each page, in order of key. Memory is bounded by about 128 pages (50 MB).

        Args:
            prepare: is called in several threads.
        """
        pages_between, last = 1, after
        while True:
            # listing folders costs a request, so it becomes less frequent where it does not help
            page, more = list[Entry](), False
            for number, (page, more) in enumerate(self.pages(last), start=1):  # noqa: B007 (used below)
                yield prepare(page)
                if number >= pages_between and page:  # S3 can return an empty page before others
                    break
            if not more:
                return
            last = page[-1]["Key"]
            split = self._split_after(last, page)
            if split is None:
                pages_between = min(2 * pages_between, _MAX_PAGES_BETWEEN)
                continue
            ends: list[str | None] = [*split.ends]
            if split.is_all:
                ends.append(None)
            starts = [last, *split.ends][: len(ends)]
            yield from _in_parallel(
                [partial(self._prepared, *bounds, prepare) for bounds in zip(starts, ends, strict=True)]
            )
            if split.is_all:
                return
            last = split.ends[-1]

    def _prepared(
        self, after: str, until: str | None, prepare: Callable[[list[Entry]], _Page]
    ) -> Iterator[_Page]:
        for entries, _ in self.pages(after, until):
            yield prepare(entries)

    def _split_after(self, last: str, page: list[Entry]) -> _Split | None:
        """Return how to split the keys after ``last``, the end of ``page``; None if that would not help."""
        within, depth = self.name, 1
        for _ in range(_MAX_DEPTH):
            folders, is_all, is_alone = self._folders(within, last)
            if not is_alone:
                break
            within = folders[0]
        if is_all and len(folders) < PARALLEL_LISTINGS:
            # a few folders rarely have equal sizes: one level deeper there are more boundaries
            depth = 2
            deeper = [inner for folder in folders for inner in self._folders(folder, last)[0]]
            folders = sorted({*folders, *deeper})
        ends = [folder for folder in folders if folder > last]
        # where a page covers several folders, a range must have several pages: its last page is not full
        in_page = len({tuple(entry["Key"][len(within) :].split("/")[:-1][:depth]) for entry in page})
        folders_per_range = _PAGES_PER_RANGE * in_page if in_page > 1 else 1
        ranges = min(_MAX_RANGES, len(ends) // folders_per_range + (1 if is_all else 0))
        if ranges < 2 or not ends:
            return None
        chosen = _spread(ends, ranges - 1)
        if not is_all and chosen[-1] != ends[-1]:
            chosen.append(ends[-1])
        return _Split(chosen, is_all)

    def _folders(self, within: str, last: str) -> tuple[list[str], bool, bool]:
        """Return the next folders in ``within`` that can have keys after ``last``, in order.

        Also whether these are all, and whether there is a single folder and nothing else.
        """
        start = last
        if last.startswith(within):
            # servers differ on a folder that starts before StartAfter, so StartAfter is moved before its name
            name, slash, _ = last[len(within) :].partition("/")
            start = within + name if slash else last
        request = {"StartAfter": start} if start else {}
        answer = self.client.list_objects_v2(Bucket=self.bucket, Prefix=within, Delimiter="/", **request)
        folders = [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]
        folders = [folder for folder in folders if folder > last or last.startswith(folder)]
        is_all = not answer.get("IsTruncated")
        beside = any(entry["Key"] > last for entry in answer.get("Contents", []))
        return folders, is_all, is_all and len(folders) == 1 and not beside


def _spread(items: list[str], number: int) -> list[str]:
    """Return ``number`` evenly spaced items, in order; all of them if there are fewer."""
    if number >= len(items):
        return items
    return [items[(index + 1) * len(items) // (number + 1)] for index in range(number)]


@dataclass(slots=True)
class _Ahead(Generic[_Page]):
    """Pages of one range that are listed ahead."""

    room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_PAGES_AHEAD))
    # a page, an error, or None at the end
    pages: "SimpleQueue[tuple[_Page] | BaseException | None]" = field(default_factory=SimpleQueue)


def _in_parallel(ranges: list[Callable[[], Iterator[_Page]]]) -> Iterator[_Page]:
    """Yield the pages of all ranges, one range after the other, while later ranges are listed ahead.

    At most as many ranges are active as there are threads, so the range whose turn it is always has a thread, and memory is
    bounded. If the caller stops early, each thread ends after its current request.
    """
    stopped = threading.Event()
    remaining = iter(ranges)
    active = deque[_Ahead[_Page]]()

    def list_ahead(pages: Callable[[], Iterator[_Page]], ahead: _Ahead[_Page]) -> None:
        try:
            listing = pages()
            while ahead.room.acquire() and not stopped.is_set():
                page = next(listing, None)
                if page is None:
                    break
                ahead.pages.put((page,))
            ahead.pages.put(None)
        except BaseException as error:
            ahead.pages.put(error)

    pool = ThreadPoolExecutor(PARALLEL_LISTINGS, thread_name_prefix="s3-listing")
    try:
        while True:
            for pages in islice(remaining, PARALLEL_LISTINGS - len(active)):
                active.append(_Ahead())
                pool.submit(list_ahead, pages, active[-1])
            if not active:
                return
            ahead = active[0]
            while (item := ahead.pages.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                ahead.room.release()
                yield item[0]
            active.popleft()
    finally:
        stopped.set()
        for ahead in active:
            ahead.room.release()
        pool.shutdown(wait=False, cancel_futures=True)
