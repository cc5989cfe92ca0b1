"""Cuts a run of speech into cues, and a cue into lines: the cheapest way of all, within the limits.

Both search by dynamic programming over the units. A cue holds a few units, so the work grows linearly with the text.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate, pairwise
from math import inf
from typing import Final

from stt_pipeline.minutes.subtitles.breaks import SENTENCE, SENTENCE_PAUSE, break_cost, ends_sentence
from stt_pipeline.minutes.subtitles.options import MIN_CUE_SECONDS, CueLimits
from stt_pipeline.minutes.subtitles.text_units import TextUnit, columns, joined

MAX_PAUSE: Final = 2.0
"""Seconds without speech that always end a cue: a viewer would take the text for speech."""

_CUE: Final = 6.0
_ORPHAN: Final = 30.0
_LONG: Final = 26.0
_SMALL: Final = 4.0
_SHORT: Final = 12.0
_INNER_SENTENCE: Final = 2.0
_BROKEN_SENTENCE: Final = 8.0
_INNER_PAUSE: Final = 8.0
_IMBALANCE: Final = 20.0
"""Costs, in the unit of those of `breaks`: an orphan costs more than the worst break."""

_ORPHAN_COLUMNS: Final = 5
"""A line of one word of up to two syllables or five letters is an orphan; a cue of one word up to twice of that."""


def cut_into_cues(
    units: Sequence[TextUnit],
    limits: CueLimits,
    label_width: int = 0,
    *,
    has_label_each: bool = False,
    shared: Collection[int] = (),
) -> list[Sequence[TextUnit]]:
    """Return the cues of a run: at sentences, clauses or pauses where possible, and none with a single short word.

    Args:
        units: none is wider than a line.
        label_width: columns of the label before the first cue, with the space after it.
        has_label_each: the label is before each cue.
        shared: places of the units that are spoken while another speaker talks; their cues have half of the lines.
    """
    costs = [break_cost(before, after) for before, after in pairwise(units)] + [SENTENCE]
    ends = _ends(units)
    best = [0.0] + [inf] * len(units)
    origin = [0] * (len(units) + 1)
    for first in range(len(units)):
        label = label_width if first == 0 or has_label_each else 0
        for last, inner in _possible_cues(units, first, limits, label, shared):
            # a viewer waits for the rest of a sentence that begins after another one
            broken = _BROKEN_SENTENCE if inner and costs[last] > SENTENCE else 0.0
            size = _size_cost(units, first, last, ends[last + 1] - ends[first], limits.width)
            cost = best[first] + costs[last] + _CUE + inner + broken + size
            if cost < best[last + 1]:
                best[last + 1], origin[last + 1] = cost, first
    cuts = [len(units)]
    while cuts[-1]:
        cuts.append(origin[cuts[-1]])
    return [units[low:high] for low, high in pairwise(reversed(cuts))]


def _possible_cues(
    units: Sequence[TextUnit], first: int, limits: CueLimits, label: int, shared: Collection[int]
) -> Iterator[tuple[int, float]]:
    """Yield the last unit of each cue from ``first`` on that is within the limits, and the cost of what it joins."""
    used, lines, inner = label, 1, 0.0
    sentence_used, sentence_lines = used, lines  # if each sentence began a line
    most_lines = limits.lines
    for last in range(first, len(units)):
        unit, is_first, seconds = units[last], last == first, 0.0
        if last in shared:
            most_lines = max(limits.lines // 2, 1)
        used, lines = _filled(used, lines, unit, limits.width, is_first=is_first)
        if not is_first:
            before = units[last - 1]
            pause = unit.start - before.end
            seconds = unit.end - units[first].start
            if lines > most_lines or seconds > 2 * limits.seconds or pause >= MAX_PAUSE:
                return
            inner += _inner_cost(before, pause)
            if ends_sentence(before.text):
                sentence_used = limits.width
        sentence_used, sentence_lines = _filled(
            sentence_used, sentence_lines, unit, limits.width, is_first=is_first
        )
        long = _LONG if seconds > limits.seconds else 0.0
        is_split = inner and lines > 1 and sentence_lines > most_lines
        yield last, inner + long + (_BROKEN_SENTENCE if is_split else 0.0)


def cut_into_lines(units: Sequence[TextUnit], limits: CueLimits, label: str = "") -> tuple[str, ...]:
    """Return the lines of a cue: as few as possible, of about equal width, broken where the text has a break.

    Args:
        label: with the space after it; the first line begins with it.
    """
    label_width = columns(label)
    count, used = 1, label_width
    for place, unit in enumerate(units):
        used, count = _filled(used, count, unit, limits.width, is_first=place == 0)
    if count == 1:
        return (label + joined(units),)
    ends = _ends(units)
    best = [0.0] + [inf] * len(units)  # cost of the lines so far, by the number of their units
    origins: list[list[int]] = []  # by line: where it begins, by where it ends
    mean = (label_width + ends[-1]) / count
    for number in range(count):
        before, best, origin = best, [inf] * (len(units) + 1), [0] * (len(units) + 1)
        indent = label_width if number == 0 else 0
        for first in range(len(units)):
            for last in range(first, len(units)) if before[first] < inf else ():
                line = indent + ends[last + 1] - ends[first] - units[first].is_spaced
                if line > limits.width:
                    break
                cost = before[first] + _line_cost(units, first, last, (line - mean) / limits.width)
                if cost < best[last + 1]:
                    best[last + 1], origin[last + 1] = cost, first
        if indent:  # the label can have a line of its own, where the first word does not fit beside it
            best[0] = _ORPHAN
        origins.append(origin)
    end, lines = len(units), list[str]()
    for origin in reversed(origins):
        lines.insert(0, joined(units[origin[end] : end]))
        end = origin[end]
    return ((label + lines[0]).strip(), *lines[1:])


def _ends(units: Sequence[TextUnit]) -> list[int]:
    """Return the columns of the text before each unit, and of all."""
    return [0, *accumulate(unit.width + unit.is_spaced for unit in units)]


def _filled(used: int, lines: int, unit: TextUnit, width: int, *, is_first: bool) -> tuple[int, int]:
    """Return the columns of the last line and the number of lines after ``unit`` is added."""
    space = 1 if unit.is_spaced and not is_first else 0
    if used and used + space + unit.width > width:
        return unit.width, lines + 1
    return used + space + unit.width, lines


def _inner_cost(before: TextUnit, pause: float) -> float:
    if pause >= SENTENCE_PAUSE:
        return _INNER_PAUSE
    return _INNER_SENTENCE if ends_sentence(before.text) else 0.0


def _size_cost(units: Sequence[TextUnit], first: int, last: int, text: int, width: int) -> float:
    """Return the cost of a cue that is too small: an orphan of one word, less than a line, or followed by the next at once."""
    if first == 0 and last == len(units) - 1:
        return 0.0
    is_orphan = text <= 2 * _ORPHAN_COLUMNS
    is_short = last + 1 < len(units) and units[last + 1].start - units[first].start < MIN_CUE_SECONDS
    small = _SMALL * max(1 - text / width, 0.0)
    return (_ORPHAN if is_orphan else 0.0) + (_SHORT if is_short else 0.0) + small


def _line_cost(units: Sequence[TextUnit], first: int, last: int, imbalance: float) -> float:
    is_orphan = first == last and units[first].width <= _ORPHAN_COLUMNS
    at_end = break_cost(units[last], units[last + 1]) if last + 1 < len(units) else SENTENCE
    return at_end + _IMBALANCE * imbalance**2 + (_ORPHAN if is_orphan else 0.0)
