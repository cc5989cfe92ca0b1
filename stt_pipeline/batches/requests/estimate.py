"""What a source would cost: a look at its names and at a few of its files, within seconds, whatever its size.

Nothing is written. Lengths are extrapolated from bytes, for each ending by itself: an hour of WAV is ten hours of MP3.
"""

import random
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.probe import rough_duration
from stt_pipeline.audio.sources import Source, SourceObject
from stt_pipeline.errors import ConflictError, FileError, InvalidRequestError
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batch_stats

MOST_NAMES = 100_000
LISTING_SECONDS = 4.0
SAMPLES = 20
SAMPLING_SECONDS = 4.0
DEFAULT_REAL_TIME_FACTOR = 0.05
"""Until shards were done here: three minutes an hour, between large-v3 on a good and on a modest GPU."""

_MOST_ENDINGS = 100
_SECONDS_A_FILE = 1.0
_ENOUGH_AUDIO = 600.0  # seconds that were done here, from which on their speed says more than the default
_AT_A_TIME = threading.BoundedSemaphore(2)  # a look keeps a core busy


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a source holds, as far as it was looked at, and what its transcription takes.

    Attributes:
        files: that match the pattern.
        bytes: of these files.
        audio_hours: how long they play, without those over the size limit.
        is_complete: the whole source was listed; otherwise all figures are lower bounds.
        listed: names that were looked at, matching or not.
        sampled: files that were opened to learn how long they play.
        unreadable: of the sampled ones, those that hold no audio.
        expected_hours: how long a batch of it takes, one run at a time and with no other batch before it.
        gpu_hours: for how long it keeps the device of the speech model busy.
        basis: in words, where the times come from.
    """

    files: int
    bytes: int
    audio_hours: float
    is_complete: bool
    listed: int
    sampled: int
    unreadable: int
    expected_hours: float
    gpu_hours: float
    basis: str


def estimate(
    database: Database,
    *,
    source_path: str,
    file_pattern: str,
    allowed: AllowedSources,
    model: str,
    max_file_bytes: int,
    most_names: int = MOST_NAMES,
    listing_seconds: float = LISTING_SECONDS,
) -> Estimate:
    """Look at a source for at most about ten seconds.

    Args:
        source_path: as for a batch.
        file_pattern: as for a batch.
        allowed: where the source may be.
        model: the batch's own speech model, empty for the setting's: speeds are compared with batches of the same.
        max_file_bytes: larger files would be rejected.
        most_names: after so many names the listing is cut off.
        listing_seconds: after so long, too.

    Raises:
        InvalidRequestError: the source or the pattern cannot be used.
        ConflictError: others are being made.
    """
    source = allowed.open(source_path, file_pattern)
    if not _AT_A_TIME.acquire(blocking=False):
        raise ConflictError("Other estimates are being made at the moment: try again in a few seconds.")
    try:
        look = _Look(max_file_bytes)
        look.over(source.iter_unordered(), most_names, listing_seconds)
        look.into(source, SAMPLING_SECONDS)
    finally:
        _AT_A_TIME.release()
    with database.begin() as connection:
        speed = batch_stats.speed(connection, model)
    factor, basis = (
        DEFAULT_REAL_TIME_FACTOR,
        "no speed was measured here yet, so a usual one of a GPU is taken",
    )
    if speed.audio_seconds >= _ENOUGH_AUDIO:
        factor = speed.busy_seconds / speed.audio_seconds
        basis = f"as measured here on {speed.audio_seconds / 3600:,.1f} hours of audio"
    hours = look.audio_seconds / 3600
    return Estimate(
        files=look.files,
        bytes=look.bytes,
        audio_hours=round(hours, 4),
        is_complete=look.is_complete,
        listed=look.listed,
        sampled=look.sampled,
        unreadable=look.unreadable,
        expected_hours=round(hours * factor, 4),
        gpu_hours=round(hours * factor, 4),
        basis=f"Lengths from {look.sampled} of {look.files:,} files; {factor:.4f} seconds of work a second of audio, {basis}.",
    )


@dataclass(slots=True)
class _Ending:
    """Files of one ending: their bytes, some of them, and what was found in these."""

    bytes: int = 0
    files: int = 0
    candidates: list[SourceObject] = field(default_factory=list)
    sampled_bytes: int = 0
    sampled_seconds: float = 0.0

    def add(self, item: SourceObject, chance: random.Random) -> None:
        """Count a file; each has the same chance to be a candidate (reservoir sampling)."""
        self.bytes += item.size
        self.files += 1
        if len(self.candidates) < SAMPLES:
            self.candidates.append(item)
        elif (place := chance.randrange(self.files)) < SAMPLES:
            self.candidates[place] = item


class _Look:
    """A look at a source: over its names first, then into some files."""

    def __init__(self, max_file_bytes: int) -> None:
        self.files = self.bytes = self.listed = self.sampled = self.unreadable = 0
        self.is_complete = False
        self._max_file_bytes = max_file_bytes
        self._endings: dict[str, _Ending] = {}
        self._chance = random.Random(0)  # the same source is estimated the same

    def over(self, found: Iterable[SourceObject | None], most_names: int, seconds: float) -> None:
        until = time.monotonic() + seconds
        for item in found:
            if self.listed >= most_names or time.monotonic() > until:
                return
            self.listed += 1
            if item is None:
                continue
            self.files += 1
            self.bytes += item.size
            if item.size <= self._max_file_bytes:
                self._ending(item.uri).add(item, self._chance)
        self.is_complete = True

    def into(self, source: Source, seconds: float) -> None:
        until = time.monotonic() + seconds
        for ending, item in self._samples():
            left = until - time.monotonic()
            if self.sampled and left <= 0:
                return
            self.sampled += 1
            ending.sampled_bytes += item.size
            try:
                with source.open_local(item.uri, item.etag) as path:
                    ending.sampled_seconds += rough_duration(path, seconds=min(left, _SECONDS_A_FILE))
            except (FileError, InvalidRequestError):
                self.unreadable += 1

    @property
    def audio_seconds(self) -> float:
        """The length of all files: of an ending without a sample, as of all that were sampled."""
        every = _Ending(
            sampled_bytes=sum(ending.sampled_bytes for ending in self._endings.values()),
            sampled_seconds=sum(ending.sampled_seconds for ending in self._endings.values()),
        )
        total = 0.0
        for ending in self._endings.values():
            known = ending if ending.sampled_bytes else every
            if known.sampled_bytes:
                total += ending.bytes * known.sampled_seconds / known.sampled_bytes
        return total

    def _ending(self, uri: str) -> _Ending:
        suffix = PurePosixPath(uri).suffix.lower()
        if suffix not in self._endings and len(self._endings) >= _MOST_ENDINGS:
            suffix = ""
        return self._endings.setdefault(suffix, _Ending())

    def _samples(self) -> Iterator[tuple[_Ending, SourceObject]]:
        """Yield files to open: the endings take turns, those with most bytes first."""
        endings = sorted(self._endings.values(), key=lambda ending: -ending.bytes)
        turns = [
            (ending, ending.candidates[turn])
            for turn in range(SAMPLES)
            for ending in endings
            if turn < len(ending.candidates)
        ]
        yield from turns[:SAMPLES]
