"""Transcript to subtitle cues: runs of speech by one speaker are cut into pieces, and pieces get their times on the screen.

The formats do not use a library: pysubs2 writes no WebVTT voice tags and parses braces as its own markup, webvtt-py does
not escape text, and neither cuts text into cues and lines.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from stt_pipeline.minutes.subtitles.cutting import MAX_PAUSE, cut_into_cues, cut_into_lines
from stt_pipeline.minutes.subtitles.options import SUBTITLES, CueLimits, SubtitleOptions, cue_limits
from stt_pipeline.minutes.subtitles.text_units import TextUnit, columns, text_units
from stt_pipeline.minutes.subtitles.timing import Cue, Piece, is_overlap, timed
from stt_pipeline.speech.transcript import Segment, Transcript

DOUBT: Final = "(?)"
"""After the text of a segment that may be a hallucination."""

_DASH_COLUMNS: Final = 2
_MIN_OVERLAP: Final = 0.2


@dataclass(slots=True)
class _Run:
    """Units of consecutive segments of one speaker in one language."""

    speaker: str | None
    language: str
    units: list[TextUnit]
    end: float
    shared: set[int] = field(default_factory=set)
    """Places of the units that are spoken while another speaker talks."""

    @property
    def start(self) -> float:
        return self.units[0].start


def subtitle_cues(
    transcript: Transcript, options: SubtitleOptions = SUBTITLES, *, labels_in_text: bool = True
) -> list[Cue]:
    """Return cues in order of time: not empty, within the limits of ``options``, without overlap, and not after the end.

    Where two speakers talk at the same time, a cue shows both if there is room, a line each; else one follows the other.

    Args:
        transcript: speakers are named as in cues.
        options: the limits.
        labels_in_text: write the speaker's label before the text where the speaker changes; False if the format has a place
            for speakers.
    """
    runs = _runs(transcript, options)
    _mark_overlaps(runs)
    has_labels = labels_in_text and options.speaker_labels
    pieces: list[Piece] = []
    before: str | None = None
    for run in runs:
        label = (
            f"{run.speaker}: " if has_labels and run.speaker and (run.shared or run.speaker != before) else ""
        )
        pieces += _pieces(run, label, cue_limits(options, run.language))
        before = run.speaker
    return timed(pieces, transcript.duration)


def _runs(transcript: Transcript, options: SubtitleOptions) -> list[_Run]:
    """Return the runs in order of time. Segments that follow each other at once are one run, so a cue can hold both."""
    runs: list[_Run] = []
    for segment in sorted(transcript.segments, key=lambda one: (one.start, one.end)):
        language = segment.language or transcript.language
        units = list(_units(segment, cue_limits(options, language), options))
        if not units:
            continue
        last = runs[-1] if runs else None
        follows = last and -_MIN_OVERLAP <= units[0].start - last.end < MAX_PAUSE
        if last and follows and (last.speaker, last.language) == (segment.speaker, language):
            last.units += [replace(units[0], is_spaced=True), *units[1:]]
            last.end = max(last.end, units[-1].end)
        else:
            runs.append(_Run(segment.speaker, language, units, units[-1].end))
    return runs


def _units(segment: Segment, limits: CueLimits, options: SubtitleOptions) -> Iterator[TextUnit]:
    # a label takes at most half of a single line
    width = limits.width - _DASH_COLUMNS if limits.lines > 1 else limits.width // 2
    units = list(text_units(segment, width))
    yield from units
    if units and segment.hallucination_reasons and options.review_notes:
        yield TextUnit(DOUBT, units[-1].end, units[-1].end, columns(DOUBT), is_spaced=True, is_mark=True)


def _mark_overlaps(runs: Sequence[_Run]) -> None:
    """Set ``shared`` of the runs."""
    for place, run in enumerate(runs):
        for other in islice(runs, place + 1, None):
            start, end = other.start, min(run.end, other.end)
            if start >= run.end:
                break
            shorter = min(run.end - run.start, other.end - other.start)
            if is_overlap(end - start, shorter):
                for one in (run, other):
                    low = bisect_right(one.units, start + _MIN_OVERLAP, key=lambda unit: unit.end)
                    high = bisect_left(one.units, end - _MIN_OVERLAP, key=lambda unit: unit.start)
                    one.shared.update(range(low, high))


def _pieces(run: _Run, label: str, limits: CueLimits) -> Iterator[Piece]:
    dash = _DASH_COLUMNS if run.shared and not label and limits.lines > 1 else 0
    room = replace(limits, width=limits.width - dash)
    label = _fitting_label(label, limits)
    cues = cut_into_cues(run.units, room, columns(label), has_label_each=bool(run.shared), shared=run.shared)
    for number, units in enumerate(cues):
        shown = label if number == 0 or run.shared else ""
        lines = cut_into_lines(units, room, shown)
        yield Piece(units[0].start, units[-1].end, lines, run.speaker, bool(shown), limits)


def _fitting_label(label: str, limits: CueLimits) -> str:
    """Return the label; one that is wider than half of a line is shortened."""
    most = limits.width // 2
    if columns(label) <= most:
        return label
    name = label.removesuffix(": ")
    while name and columns(name) > most - columns("…: "):
        name = name[:-1]
    return f"{name}…: "
