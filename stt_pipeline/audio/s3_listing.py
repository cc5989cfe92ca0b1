"""Listing a bucket's prefix: page after page in order of key, and side by side where the layout allows.

S3 gives a thousand keys a request, in order, and takes its time for each. So the keys behind the first page are cut into
ranges at folders' borders, as one request with a delimiter shows them; several ranges are listed at once and yielded one
after the other. Nothing is known of audio or patterns here.
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

from stt_pipeline.audio.s3_client import LISTED_AT_ONCE

_MOST_RANGES = 32
_PAGES_A_RANGE = 3
_DEEPEST = 10  # single folders within each other that are entered before there is a choice
_PAGES_AHEAD = 16  # of each range that is listed at once; a page is up to a thousand keys, some 400 kB
_MOST_PAGES_BETWEEN = 64

Entry = dict[str, Any]
"""An object as S3 lists it: Key, Size, ETag, LastModified."""
_Page = TypeVar("_Page")


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where to cut what lies ahead: range after range ends with one of ``ends``; more may follow behind the last."""

    ends: list[str]
    is_all: bool


@dataclass(slots=True)
class Prefix:
    """The keys under ``name`` in a bucket."""

    client: Any
    bucket: str
    name: str

    def pages(self, after: str, until: str | None = None) -> Iterator[tuple[list[Entry], bool]]:
        """Yield (objects, whether more may follow) request by request: keys behind ``after``, up to and with ``until``."""
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
        """Yield what ``prepare`` makes of each page, in order of key. Memory is bounded by some 128 pages, about 50 MB.

        Args:
            prepare: is called in several threads at once.
        """
        stretch, last = 1, after
        while True:
            # a look at folders costs a request, so it becomes rarer where it does not help
            page, more = list[Entry](), False
            for number, (page, more) in enumerate(self.pages(last), start=1):  # noqa: B007 (looked at below)
                yield prepare(page)
                if number >= stretch and page:  # S3 may answer that more follows, and with none of it
                    break
            if not more:
                return
            last = page[-1]["Key"]
            cut = self._cut_behind(last, page)
            if cut is None:
                stretch = min(2 * stretch, _MOST_PAGES_BETWEEN)
                continue
            ends: list[str | None] = [*cut.ends]
            if cut.is_all:
                ends.append(None)
            starts = [last, *cut.ends][: len(ends)]
            yield from _side_by_side(
                [partial(self._prepared, *bounds, prepare) for bounds in zip(starts, ends, strict=True)]
            )
            if cut.is_all:
                return
            last = cut.ends[-1]

    def _prepared(
        self, after: str, until: str | None, prepare: Callable[[list[Entry]], _Page]
    ) -> Iterator[_Page]:
        for entries, _ in self.pages(after, until):
            yield prepare(entries)

    def _cut_behind(self, last: str, page: list[Entry]) -> _Cut | None:
        """Return where to cut the keys behind ``last``, the end of ``page``; None where that would not help."""
        within, depth = self.name, 1
        for _ in range(_DEEPEST):
            folders, is_all, is_alone = self._folders(within, last)
            if not is_alone:
                break
            within = folders[0]
        if is_all and len(folders) < LISTED_AT_ONCE:
            # few folders are seldom of one size: one level deeper there are more to choose from
            depth = 2
            deeper = [inner for folder in folders for inner in self._folders(folder, last)[0]]
            folders = sorted({*folders, *deeper})
        ends = [folder for folder in folders if folder > last]
        # where a page holds several folders a range is to be some pages: its last one is cut short
        in_page = len({tuple(entry["Key"][len(within) :].split("/")[:-1][:depth]) for entry in page})
        worth = _PAGES_A_RANGE * in_page if in_page > 1 else 1
        ranges = min(_MOST_RANGES, len(ends) // worth + (1 if is_all else 0))
        if ranges < 2 or not ends:
            return None
        chosen = _spread(ends, ranges - 1)
        if not is_all and chosen[-1] != ends[-1]:
            chosen.append(ends[-1])
        return _Cut(chosen, is_all)

    def _folders(self, within: str, last: str) -> tuple[list[str], bool, bool]:
        """Return the next folders in ``within`` that may have keys behind ``last``, in order.

        Also whether these are all, and whether it is a single one with nothing beside it.
        """
        start = last
        if last.startswith(within):
            # servers differ in whether a folder counts that begins before the start: so start before its name
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
    """Return ``number`` of the items at even distances, in order; all of them if there are fewer."""
    if number >= len(items):
        return items
    return [items[(index + 1) * len(items) // (number + 1)] for index in range(number)]


@dataclass(slots=True)
class _Ahead(Generic[_Page]):
    """Pages of one range that were listed before their turn."""

    room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_PAGES_AHEAD))
    # a page, an error, or None at the end
    pages: "SimpleQueue[tuple[_Page] | BaseException | None]" = field(default_factory=SimpleQueue)


def _side_by_side(ranges: list[Callable[[], Iterator[_Page]]]) -> Iterator[_Page]:
    """Yield the pages of all ranges, one range after the other, while later ones are listed ahead.

    A range begins when the caller is so far that only as many are under way as there are threads: the one whose turn it
    is always has its own, and no more is kept than what those list ahead. When the caller stops early, threads end after
    the request that they are in.
    """
    stopped = threading.Event()
    waiting = iter(ranges)
    begun = deque[_Ahead[_Page]]()

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

    pool = ThreadPoolExecutor(LISTED_AT_ONCE, thread_name_prefix="s3-listing")
    try:
        while True:
            for pages in islice(waiting, LISTED_AT_ONCE - len(begun)):
                begun.append(_Ahead())
                pool.submit(list_ahead, pages, begun[-1])
            if not begun:
                return
            ahead = begun[0]
            while (item := ahead.pages.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                ahead.room.release()
                yield item[0]
            begun.popleft()
    finally:
        stopped.set()
        for ahead in begun:
            ahead.room.release()
        pool.shutdown(wait=False, cancel_futures=True)
