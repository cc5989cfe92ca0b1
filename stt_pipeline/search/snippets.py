"""Snippets: the lines of a block that match a query, shortened for a list, with the words marked."""

import html
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

_BEFORE = 60
_LONGEST = 200
_HITS = 5
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that contains a word of the query.

    ``start`` is in seconds. ``snippet`` is HTML: escaped text, with whole words in ``<mark>``.
    """

    start: float | None
    speaker: str | None
    snippet: str


def hits(
    text: str,
    places: Iterable[int],
    line_starts: Sequence[float | None],
    speakers: Sequence[str | None],
) -> list[Hit]:
    """Return the first lines of a block with a marked word, at most five.

    Args:
        text: text of the block, with a newline between lines.
        places: offsets in ``text``; the word at each offset is marked.
        line_starts: start of each line in seconds.
        speakers: speaker of each line.
    """
    lines = text.split("\n")
    ends = list(accumulate(len(line) + 1 for line in lines))
    marked: dict[int, list[int]] = {}
    for place in sorted(set(places)):
        number = bisect_right(ends, place)
        marked.setdefault(number, []).append(place - ends[number] + len(lines[number]) + 1)
    return [
        Hit(line_starts[number], speakers[number], _snippet(lines[number], within))
        for number, within in list(marked.items())[:_HITS]
    ]


def _snippet(line: str, places: Sequence[int]) -> str:
    words = [(one.start(), one.end()) for one in _WORD.finditer(line)]
    starts = [start for start, _ in words]
    chosen = {bisect_right(starts, place) - 1 for place in places}
    low, high = 0, len(line)
    if high > _LONGEST:
        low = max(0, places[0] - _BEFORE)
        # cut between words, unless one word alone is too long
        low = next((start for start in starts if low <= start <= places[0]), low)
        high = min(high, low + _LONGEST)
        high = max((end for _, end in words if low < end <= high), default=high)
    parts = ["… "] if low else []
    last = low
    for number in sorted(chosen):
        start, end = max(words[number][0], low), min(words[number][1], high)
        if start < end:
            parts += [html.escape(line[last:start]), "<mark>", html.escape(line[start:end]), "</mark>"]
            last = end
    parts.append(html.escape(line[last:high]))
    if high < len(line):
        parts.append(" …")
    return "".join(parts)
