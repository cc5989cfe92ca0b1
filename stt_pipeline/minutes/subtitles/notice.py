"""Notes for the reader as cues, for formats without comments: before the speech, for some seconds.

An editor deletes these cues, or switches them off with ``review_notes``.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from stt_pipeline.minutes.subtitles.cutting import cut_into_cues, cut_into_lines
from stt_pipeline.minutes.subtitles.options import SubtitleOptions, cue_limits
from stt_pipeline.minutes.subtitles.text_units import text_units
from stt_pipeline.minutes.subtitles.timing import GAP_MS, MIN_CUE_MS, Cue, Piece
from stt_pipeline.speech.transcript import Segment

_MOST_MS: Final = 8_000
"""The notes together are not longer on the screen."""

_ENOUGH_MS: Final = 1_000
"""The time before the first cue is used if it is at least as long."""

_WAIT_MS: Final = 3_000
"""Else the first cue begins up to this later, and stays for the shortest time of a cue."""


def with_notice(
    cues: Sequence[Cue], notes: Sequence[str], options: SubtitleOptions, language: str, duration: float
) -> list[Cue]:
    """Return the cues with the notes: before the first cue, which waits for them if there is no time.

    They come after the last cue only where the first one is too short to wait.

    Args:
        notes: sentences in ``language``.
        duration: seconds of the recording.
    """
    pieces = _pieces(notes, options, language)
    if not pieces:
        return list(cues)
    if not cues:
        return _placed(pieces, 0, round(1000 * duration) or _MOST_MS)
    first, last = cues[0], cues[-1]
    if first.start - GAP_MS >= _ENOUGH_MS:
        return [*_placed(pieces, 0, first.start), *cues]
    wait = max(min(_WAIT_MS, first.end - MIN_CUE_MS), first.start, first.end // 2)
    end = round(1000 * duration) if duration > 0 else last.end + _MOST_MS
    if wait < _ENOUGH_MS and end - last.end - GAP_MS > wait:
        return [*cues, *_placed(pieces, last.end + GAP_MS, end)]
    return [*_placed(pieces, 0, wait), replace(first, start=wait), *cues[1:]]


def _pieces(notes: Sequence[str], options: SubtitleOptions, language: str) -> list[Piece]:
    limits = cue_limits(options, language)
    width = limits.width if limits.lines > 1 else limits.width // 2
    pieces = []
    for note in notes:
        units = [
            replace(unit, start=0.0, end=0.0) for unit in text_units(Segment(0.0, 0.0, f"[{note}]"), width)
        ]
        pieces += [
            Piece(0.0, 0.0, cut_into_lines(some, limits), None, has_label=False, limits=limits)
            for some in cut_into_cues(units, limits)
        ]
    return pieces


def _placed(pieces: Sequence[Piece], low: int, high: int) -> list[Cue]:
    """Return the pieces one after the other from ``low``, each as long as it is read, or less if ``high`` is before that."""
    needed = [max(round(1000 * piece.reading_seconds), MIN_CUE_MS) for piece in pieces]
    pace = min(min(high - low, _MOST_MS) / sum(needed), 1.0)
    cues, start = list[Cue](), float(low)
    for piece, milliseconds in zip(pieces, needed, strict=True):
        end = start + milliseconds * pace
        gap = min(GAP_MS, milliseconds * pace / 3)
        cues.append(Cue(round(start), round(end - gap), (piece,)))
        start = end
    return cues
