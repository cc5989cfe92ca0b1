"""When pieces of text are on the screen: who talks at the same time, for how long a viewer reads, and gaps between cues.

Times are integer milliseconds here, as in the files.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from stt_pipeline.minutes.subtitles.options import GAP_SECONDS, MIN_CUE_SECONDS, CueLimits
from stt_pipeline.minutes.subtitles.text_units import columns

MIN_CUE_MS: Final = round(1000 * MIN_CUE_SECONDS)
GAP_MS: Final = round(1000 * GAP_SECONDS)

CHAINED_MS: Final = 500
"""A shorter gap is closed to two frames, from the same guide; a longer one shows no text."""

_MIN_OVERLAP: Final = 0.2
_LONG_OVERLAP: Final = 1.0

_SLOT_MS: Final = 400
"""From the start of a cue to the start of the next at least, also where two talk at once."""

_MOST_DELAY_MS: Final = 1_500
_FLOOD_SLOT_MS: Final = 50
"""Where more text comes than can be shown, cues are not later than their speech by more than that; they get this slot."""

_UNKNOWN_END_MS: Final = 60_000
"""After the last speech of a recording whose length is not known."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines of one speaker. ``start`` and ``end`` of the speech are in seconds; ``has_label`` if the first line has a label."""

    start: float
    end: float
    lines: tuple[str, ...]
    speaker: str | None
    has_label: bool
    limits: CueLimits

    @property
    def reading_seconds(self) -> float:
        """Seconds that a viewer needs to read the lines."""
        return sum(map(columns, self.lines)) / self.limits.columns_per_second


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle: ``start`` and ``end`` in milliseconds, and a piece for each speaker; lines have labels or dashes."""

    start: int
    end: int
    pieces: tuple[Piece, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """All lines, from top to bottom."""
        return tuple(line for piece in self.pieces for line in piece.lines)

    @property
    def reading_ms(self) -> int:
        """Milliseconds that a viewer needs to read it, at least the shortest time of a cue."""
        return max(round(1000 * sum(piece.reading_seconds for piece in self.pieces)), MIN_CUE_MS)


def timed(pieces: Sequence[Piece], duration: float) -> list[Cue]:
    """Return the cues of the pieces, in order of time, without overlap.

    Args:
        pieces: in any order; those of several speakers may overlap.
        duration: seconds of the recording; 0 if it is not known.
    """
    cues: list[Cue] = []
    for piece in sorted(pieces, key=lambda piece: (piece.start, piece.end)):
        cue = Cue(max(0, round(1000 * piece.start)), max(0, round(1000 * piece.end)), (piece,))
        both = _joined(cues[-1], cue) if cues else None
        if both:
            cues[-1] = both
        else:
            cues.append(cue)
    limit = (
        round(1000 * duration)
        if duration > 0
        else max((cue.end for cue in cues), default=0) + _UNKNOWN_END_MS
    )
    return _with_ends(_with_starts(cues, limit), limit)


def _joined(cue: Cue, after: Cue) -> Cue | None:
    """Return both cues as one, if their speakers talk at once (or nearly) and there is room; else None."""
    (piece,) = after.pieces
    shorter = min(cue.end - cue.start, after.end - after.start) / 1000
    overlap = (min(cue.end, after.end) - after.start) / 1000
    at_once = is_overlap(overlap, shorter) or after.start - cue.start < MIN_CUE_MS
    end = max(cue.end, after.end)
    too_long = end - cue.start > 1000 * piece.limits.seconds
    too_many = len(cue.lines) + len(piece.lines) > piece.limits.lines
    if not at_once or too_long or too_many or piece.speaker in [one.speaker for one in cue.pieces]:
        return None
    pieces = (*cue.pieces, piece)
    if not all(one.has_label for one in pieces):
        pieces = tuple(map(_with_dash, pieces))
    if any(columns(one.lines[0]) > one.limits.width for one in pieces):
        return None
    return Cue(cue.start, end, pieces)


def is_overlap(seconds: float, shorter: float) -> bool:
    """Return whether two talk at once: the end of a sentence within the beginning of the next is no overlap.

    Args:
        seconds: of both.
        shorter: seconds of the shorter one.
    """
    return seconds > max(_MIN_OVERLAP, min(_LONG_OVERLAP, shorter / 2))


def _with_dash(piece: Piece) -> Piece:
    first, *rest = piece.lines
    return piece if first.startswith("- ") else replace(piece, lines=(f"- {first}", *rest))


def _with_starts(cues: Sequence[Cue], limit: int) -> list[Cue]:
    """Return cues whose starts are in order, with time for each before the next and before the end of the recording.

    Cues that overlap share their time by the length of their texts.
    """
    slot = min(_SLOT_MS, limit // (len(cues) + 1))
    starts = [cue.start for cue in cues]
    for place, (cue, after) in enumerate(pairwise(cues)):
        start, end = starts[place], min(cue.end, after.end)
        if end > after.start:
            share = cue.reading_ms / (cue.reading_ms + after.reading_ms)
            fair = round(start + (max(cue.end, after.end) - start) * share)
            starts[place + 1] = min(max(fair, after.start), end)
        is_late = start + slot - after.start > _MOST_DELAY_MS
        starts[place + 1] = max(starts[place + 1], start + (min(slot, _FLOOD_SLOT_MS) if is_late else slot))
    slots = [slot, *(after - before for before, after in pairwise(starts))]
    latest = limit - slot
    for place in reversed(range(len(starts))):
        starts[place] = min(starts[place], latest)
        latest = starts[place] - min(slot, slots[place])
    return [
        replace(cue, start=start, end=max(cue.end, start)) for cue, start in zip(cues, starts, strict=True)
    ]


def _with_ends(cues: Sequence[Cue], limit: int) -> list[Cue]:
    """Return cues that stay as long as they are read and no longer than allowed, with a gap before the next.

    A cue that has no time left after it begins earlier, where nothing is on the screen.
    """
    placed: list[Cue] = []
    for place, cue in enumerate(cues):
        last = limit
        if place + 1 < len(cues):
            last = cues[place + 1].start - min(GAP_MS, (cues[place + 1].start - cue.start) // 3)
        end = _longest(cue, min(max(cue.end, cue.start + cue.reading_ms), last))
        start = cue.start
        free = placed[-1].end + GAP_MS if placed else 0
        if end - start < MIN_CUE_MS and free < start:
            start = max(free, end - MIN_CUE_MS)
        if placed and 0 < start - free < CHAINED_MS - GAP_MS:
            placed[-1] = replace(placed[-1], end=_longest(placed[-1], start - GAP_MS))
        placed.append(replace(cue, start=start, end=end))
    return placed


def _longest(cue: Cue, end: int) -> int:
    """Return ``end``, or the latest end that a cue may have."""
    return min(end, cue.start + round(1000 * cue.pieces[0].limits.seconds))
