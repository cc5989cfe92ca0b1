"""Estimates a source before a batch of it is created: its size, its length and the time of its transcription.

It lists names and opens a few files, within seconds, whatever the size of the source; it writes nothing. Lengths are
extrapolated from bytes for each file extension separately: an hour of WAV has as many bytes as ten hours of MP3.
"""

import random
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict, Field

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.probe import rough_duration
from stt_pipeline.audio.sources import Source, SourceObject
from stt_pipeline.batches.requests.batch_request import SourceRequest
from stt_pipeline.batches.requests.measured_speed import MeasuredSpeed
from stt_pipeline.errors import ConflictError, FileError, InvalidRequestError
from stt_pipeline.store.database import Database

MAX_LISTED = 100_000
LISTING_SECONDS = 4.0
MAX_SAMPLES = 20
SAMPLING_SECONDS = 4.0
MAX_CONCURRENT = 2
"""Estimates at a time: each keeps a core busy."""

_MAX_EXTENSIONS = 100
_SECONDS_A_FILE = 1.0
_slots = threading.BoundedSemaphore(MAX_CONCURRENT)


class Estimate(BaseModel):
    """The size of a source, and the time of its transcription."""

    model_config = ConfigDict(frozen=True)

    files: int = Field(description="Files that match the pattern.", examples=[1250])
    bytes: int = Field(description="Size of these files.", examples=[61_203_742_720])
    audio_hours: float = Field(
        description="Length of these files, without those over the size limit.", examples=[1104.7]
    )
    is_complete: bool = Field(
        description="The whole source was listed; otherwise all figures are lower bounds.", examples=[True]
    )
    listed: int = Field(
        description="Names, or rows of a list, that were read, matching or not.", examples=[1312]
    )
    sampled: int = Field(description="Files that were opened to measure their length.", examples=[20])
    unreadable: int = Field(description="Sampled files that have no audio.", examples=[1])
    gpu_hours: float = Field(
        description="Hours that the runs of the transcribe stage hold a GPU, all runs together.",
        examples=[23.2],
    )
    wall_hours: float = Field(
        description="Hours from the scan to the end of a batch of it, if no other batch runs: as recent batches took with the "
        "runs that this installation has at the same time.",
        examples=[12.1],
    )
    basis: str = Field(
        description="Source of the figures.",
        examples=[
            "Lengths from 20 of 1,250 files; 0.0210 seconds of work a second of audio and 9 seconds a batch, measured here "
            "on 3,402.0 hours of audio; the wall clock as the last 10 batches took."
        ],
    )


def estimate(
    database: Database,
    request: SourceRequest,
    *,
    allowed: AllowedSources,
    max_file_bytes: int,
    max_listed: int = MAX_LISTED,
    listing_seconds: float = LISTING_SECONDS,
) -> Estimate:
    """Estimate a source, in about ten seconds at most.

    The speed is that of earlier batches with the same model, if there are any.

    Args:
        allowed: the places that the source may be in.
        max_file_bytes: larger files would be rejected.
        max_listed: names after which the listing stops.
        listing_seconds: seconds after which the listing stops.

    Raises:
        InvalidRequestError: the source or the pattern is invalid.
        ConflictError: other estimates are in progress.
    """
    source = allowed.open(request.source_path, request.file_pattern)
    if not _slots.acquire(blocking=False):
        raise ConflictError("Other estimates are in progress: try again in a few seconds.")
    try:
        sample = _SourceSample(max_file_bytes)
        sample.list_names(source.iter_unordered(), max_listed, listing_seconds)
        sample.measure_files(source, SAMPLING_SECONDS)
    finally:
        _slots.release()
    speed = MeasuredSpeed.of(database, request.options.model)
    audio = sample.audio_seconds
    return Estimate(
        files=sample.files,
        bytes=sample.bytes,
        audio_hours=round(audio / 3600, 4),
        is_complete=sample.is_complete,
        listed=sample.listed,
        sampled=sample.sampled,
        unreadable=sample.unreadable,
        gpu_hours=round(speed.gpu.seconds(audio) / 3600, 4) if audio else 0.0,
        wall_hours=round(speed.wall.seconds(audio) / 3600, 4) if audio else 0.0,
        basis=f"Lengths from {sample.sampled} of {sample.files:,} files; {speed.basis}.",
    )


@dataclass(slots=True)
class _ExtensionStats:
    """Files with one extension: their size, some of them, and the measured length of these."""

    bytes: int = 0
    files: int = 0
    candidates: list[SourceObject] = field(default_factory=list)
    sampled_bytes: int = 0
    sampled_seconds: float = 0.0

    def add(self, item: SourceObject, chance: random.Random) -> None:
        """Count a file; each has the same chance to be a candidate (reservoir sampling)."""
        self.bytes += item.size
        self.files += 1
        if len(self.candidates) < MAX_SAMPLES:
            self.candidates.append(item)
        elif (place := chance.randrange(self.files)) < MAX_SAMPLES:
            self.candidates[place] = item


class _SourceSample:
    """Counts of a source by file extension, and the lengths of some of its files."""

    def __init__(self, max_file_bytes: int) -> None:
        self.files = self.bytes = self.listed = self.sampled = self.unreadable = 0
        self.is_complete = False
        self._max_file_bytes = max_file_bytes
        self._extensions: dict[str, _ExtensionStats] = {}
        self._chance = random.Random(0)  # equal sources have equal estimates

    def list_names(self, found: Iterable[SourceObject | None], max_listed: int, seconds: float) -> None:
        until = time.monotonic() + seconds
        for item in found:
            if self.listed >= max_listed or time.monotonic() > until:
                return
            self.listed += 1
            if item is None:
                continue
            self.files += 1
            self.bytes += item.size
            if item.size <= self._max_file_bytes:
                self._stats_of(item.uri).add(item, self._chance)
        self.is_complete = True

    def measure_files(self, source: Source, seconds: float) -> None:
        until = time.monotonic() + seconds
        for stats, item in self._samples():
            left = until - time.monotonic()
            if self.sampled and left <= 0:
                return
            self.sampled += 1
            stats.sampled_bytes += item.size
            try:
                with source.open_local(item.uri, item.etag) as path:
                    stats.sampled_seconds += rough_duration(path, seconds=min(left, _SECONDS_A_FILE))
            except (FileError, InvalidRequestError):
                self.unreadable += 1

    @property
    def audio_seconds(self) -> float:
        """The length of all files. An extension without a sample gets the mean of all samples."""
        total_sample = _ExtensionStats(
            sampled_bytes=sum(stats.sampled_bytes for stats in self._extensions.values()),
            sampled_seconds=sum(stats.sampled_seconds for stats in self._extensions.values()),
        )
        total = 0.0
        for stats in self._extensions.values():
            known = stats if stats.sampled_bytes else total_sample
            if known.sampled_bytes:
                total += stats.bytes * known.sampled_seconds / known.sampled_bytes
        return total

    def _stats_of(self, uri: str) -> _ExtensionStats:
        extension = PurePosixPath(uri).suffix.lower()
        if extension not in self._extensions and len(self._extensions) >= _MAX_EXTENSIONS:
            extension = ""
        return self._extensions.setdefault(extension, _ExtensionStats())

    def _samples(self) -> Iterator[tuple[_ExtensionStats, SourceObject]]:
        """Yield the files to open, one of each extension in turn, the extension with most bytes first."""
        by_bytes = sorted(self._extensions.values(), key=lambda stats: -stats.bytes)
        turns = [
            (stats, stats.candidates[turn])
            for turn in range(MAX_SAMPLES)
            for stats in by_bytes
            if turn < len(stats.candidates)
        ]
        yield from turns[:MAX_SAMPLES]
