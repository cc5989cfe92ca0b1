"""Polls watched sources: new files in them become files of batches.

A poll lists a bounded part of the source, whatever its size. It lists the end of the source, where keys that begin with a
date arrive, from some thousand objects before the last one on. It also lists the next part of a sweep through the whole
source, which finds objects that arrive anywhere else. So no object is lost if keys arrive late, out of order or in the same
second: cursors only decide where to list, and the manifest decides what is new (``objects``).
"""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.sources import Source, SourceObject
from stt_pipeline.batches.ingest.objects import IngestConfig, ingest_objects
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.manifest.watches import Watch

_ALL_FILES = "**/*"


@dataclass(frozen=True, slots=True)
class PollLimits:
    """Bounds of one poll. S3 lists 1,000 objects in 0.1 s, and adding 20,000 files takes about a second.

    Attributes:
        max_objects: objects of each of the two listings.
        seconds: for both listings together.
        look_back: objects before the last one from which the next poll lists.
        page: objects that a listing has in any case, however slow the source is; S3 returns this many at once.
    """

    max_objects: int = 20_000
    seconds: float = 3.5
    look_back: int = 5_000
    page: int = 1_000


@dataclass(frozen=True, slots=True)
class PollResult:
    """The result of one poll.

    Attributes:
        listed: objects that were listed, matching or not.
        new_files: files that were added.
        batch_id: their batch; None without new files.
        seconds: duration of the poll.
    """

    listed: int
    new_files: int
    batch_id: int | None
    seconds: float


def poll(
    database: Database,
    watch: Watch,
    allowed: AllowedSources,
    config: IngestConfig,
    limits: PollLimits | None = None,
) -> PollResult:
    """Poll the source of a watch once: add new files, and save the cursor.

    It may be killed at any point and called again.

    Raises:
        InvalidRequestError: the source cannot be listed any more, or another run works on the batch.
        SourceUnavailableError: the source does not answer at the moment.
        NotFoundError: the watch was removed meanwhile.
    """
    limits = limits or PollLimits()
    started = time.monotonic()
    source = allowed.open(watch.source_path, watch.file_pattern)
    # other objects count as well: among a million of them, a poll for a few files must end in time
    all_objects = allowed.open(watch.source_path, _ALL_FILES)
    before = watch.cursor
    until = time.monotonic() + limits.seconds
    end = _BoundedListing(all_objects, before.look_back, limits, until)
    found = list(end)
    cursor = replace(before, look_back=end.next_start, caught_up=before.caught_up or end.is_complete)
    swept = end.is_complete and not before.look_back
    if before.caught_up and not swept:
        part = _BoundedListing(all_objects, before.sweep, limits, until)
        found += part
        swept = part.is_complete
        cursor = replace(cursor, sweep="" if swept else part.last)
    added = ingest_objects(database, watch, (item for item in found if source.matches(item.uri)), config)
    with database.begin() as connection:
        watches.save_poll(connection, watch.id, cursor=cursor, found=added.new_files, swept=swept)
    return PollResult(len(found), added.new_files, added.batch_id, time.monotonic() - started)


class _BoundedListing:
    """The objects of a source after an address, within limits, but a page at least."""

    def __init__(self, source: Source, after: str, limits: PollLimits, until: float) -> None:
        self.last = after
        self.is_complete = False
        self._source = source
        self._after = after
        self._limits = limits
        self._until = until
        self._window: deque[str] = deque(maxlen=limits.look_back)

    @property
    def next_start(self) -> str:
        """Where the next poll lists from; after the end was reached, some objects before it, for late arrivals."""
        if not self.is_complete:
            return self.last
        return self._window[0] if len(self._window) == self._limits.look_back else self._after

    def __iter__(self) -> Iterator[SourceObject]:
        for listed, found in enumerate(self._source.list_objects(self._after), start=1):
            self.last = found.uri
            self._window.append(found.uri)
            yield found
            is_late = listed >= self._limits.page and time.monotonic() > self._until
            if listed >= self._limits.max_objects or is_late:
                return
        self.is_complete = True
