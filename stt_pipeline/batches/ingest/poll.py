"""Watches: sources that are looked at again and again, so that what arrives there becomes batches by itself.

A look lists a bounded part of the source, whatever its size: its end, where keys that begin with a date arrive, from some
thousand objects before the last one on; and the next stretch of a round through all of it, which finds what arrives anywhere
else. So nothing is lost where keys come late, out of order or in the same second: cursors only say where to look, and what
is new is for the manifest to say (``arrivals``).
"""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.sources import Source, SourceObject
from stt_pipeline.batches.ingest.objects import Intake, arrive
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.manifest.watches import Watch

# listing 1,000 objects takes S3 a tenth of a second, and taking 20,000 in takes one
OBJECTS_A_LOOK = 20_000
SECONDS_A_LOOK = 3.5
LOOK_BACK = 5_000
PAGE = 1_000  # objects that a stretch lists in any case, however slow the source is: what S3 gives at once
_EVERYTHING = "**/*"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a watch came to.

    Attributes:
        listed: objects that were listed, meant or not.
        new: files that were taken in.
        batch_id: where they are; None if there are none.
        seconds: how long it took.
    """

    listed: int
    new: int
    batch_id: int | None
    seconds: float


def look(
    database: Database,
    watch: Watch,
    allowed: AllowedSources,
    intake: Intake,
    *,
    most_objects: int = OBJECTS_A_LOOK,
    seconds: float = SECONDS_A_LOOK,
) -> Look:
    """Look once at the source of a watch, take in what is new, and remember how far it was seen.

    It may die anywhere and be called again.

    Args:
        most_objects: of each of the two stretches.
        seconds: for listing both.

    Raises:
        InvalidRequestError: the source cannot be listed any more, or another run has the batch in hand.
        SourceUnavailableError: it does not answer at the moment.
        NotFoundError: the watch was removed meanwhile.
    """
    started = time.monotonic()
    meant = allowed.open(watch.source_path, watch.file_pattern)
    # what is not meant counts, too: among a million of other objects, a look for a few must end in time
    everything = allowed.open(watch.source_path, _EVERYTHING)
    before = watch.cursor
    until = time.monotonic() + seconds
    end = _Stretch(everything, before.look_back, most_objects, until)
    found = list(end)
    cursor = replace(before, look_back=end.next_start, caught_up=before.caught_up or end.is_complete)
    swept = end.is_complete and not before.look_back
    if before.caught_up and not swept:
        part = _Stretch(everything, before.sweep, most_objects, until)
        found += part
        swept = part.is_complete
        cursor = replace(cursor, sweep="" if swept else part.last)
    arrived = arrive(database, watch, (each for each in found if meant.matches(each.uri)), intake)
    with database.begin() as connection:
        watches.save_poll(connection, watch.id, cursor=cursor, found=arrived.files, swept=swept)
    return Look(len(found), arrived.files, arrived.batch_id, time.monotonic() - started)


class _Stretch:
    """The objects of a source behind an address, as many as can be listed within bounds, and a page at least."""

    def __init__(self, source: Source, after: str, most_objects: int, until: float) -> None:
        self.last = after
        self.is_complete = False
        self._source = source
        self._after = after
        self._most_objects = most_objects
        self._until = until
        self._window: deque[str] = deque(maxlen=LOOK_BACK)

    @property
    def next_start(self) -> str:
        """Where a next look goes on; once the end is reached, some way before it, for what arrives late."""
        if not self.is_complete:
            return self.last
        return self._window[0] if len(self._window) == LOOK_BACK else self._after

    def __iter__(self) -> Iterator[SourceObject]:
        for listed, found in enumerate(self._source.list_objects(self._after), start=1):
            self.last = found.uri
            self._window.append(found.uri)
            yield found
            if listed >= self._most_objects or (listed >= PAGE and time.monotonic() > self._until):
                return
        self.is_complete = True
