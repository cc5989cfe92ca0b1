"""Units of text with times, between which cues and lines may break: words, Korean eojeol, or Han and Kana characters.

The text is the segment's; times come from its words where they are in the text, and are interpolated elsewhere.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from stt_pipeline.speech.transcript import Segment

_SCRIPTS_WITHOUT_SPACES: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
)
"""Thai, Lao, Burmese, Khmer, Kana and Han."""

# marks do not begin a line, and neither do small Kana, the long vowel mark, and vowel signs; brackets do not end one
_BREAKABLE: Final = re.compile(
    rf"[\[(「『（“‘《〈]*(?:[{_SCRIPTS_WITHOUT_SPACES}]|[^{_SCRIPTS_WITHOUT_SPACES}\[(「『（“‘《〈]+)"
    r"[\u0e30-\u0e3a\u0e45-\u0e4e\u102b-\u103e\u17b4-\u17d3ぁぃぅぇぉっゃゅょァィゥェォッャュョー、。，．！？」』）”’》〉)\].,!?…]*"
    r"|[\[(「『（“‘《〈]+"
)
_HAS_NO_SPACES: Final = re.compile(f"[{_SCRIPTS_WITHOUT_SPACES}]")


@dataclass(frozen=True, slots=True)
class TextUnit:
    """Text without spaces, from ``start`` to ``end`` in seconds, ``width`` columns wide.

    ``is_spaced`` means that a space is before it; ``is_mark`` that it is a mark after the speech.
    """

    text: str
    start: float
    end: float
    width: int
    is_spaced: bool
    is_mark: bool = False


def columns(text: str) -> int:
    """Return the width of ``text``: two columns for a full-width character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(_character_columns(character) for character in text)


def _character_columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def text_units(segment: Segment, max_width: int) -> Iterator[TextUnit]:
    """Yield the units of a segment in order of text and time; a unit wider than ``max_width`` columns is cut."""
    text = " ".join(segment.text.split())
    times = _Times(segment, text)
    pieces = [
        (offset, piece, is_first and offset > 0)
        for match in re.finditer(r"\S+", text)
        for offset, piece, is_first in _placed_pieces(match, max_width)
    ]
    nexts = [offset for offset, _, _ in pieces[1:]] + [len(text)]
    for (offset, piece, is_spaced), after in zip(pieces, nexts, strict=False):
        start = times.at(offset)
        end = times.end_of(offset + len(piece), after)
        yield TextUnit(piece, start, max(start, end), columns(piece), is_spaced)


def _placed_pieces(word: re.Match[str], max_width: int) -> Iterator[tuple[int, str, bool]]:
    """Yield the offset of each piece of a word, the piece, and whether it is the first."""
    offset = word.start()
    for piece in _pieces(word[0], max_width):
        yield offset, piece, offset == word.start()
        offset += len(piece)


def joined(units: Sequence[TextUnit]) -> str:
    """Return the text of ``units`` on one line."""
    return "".join(f" {unit.text}" if unit.is_spaced else unit.text for unit in units).strip()


def _pieces(word: str, max_width: int) -> Iterator[str]:
    """Yield the parts of a word between which a line may break."""
    parts = _BREAKABLE.findall(word) if _HAS_NO_SPACES.search(word) else [word]
    for part in parts:
        if columns(part) <= max_width:
            yield part
        else:
            yield from _cut(part, max_width)


def _cut(text: str, max_width: int) -> Iterator[str]:
    """Yield pieces of ``text`` that fit into the width; a letter keeps its combining marks."""
    first, width = 0, 0
    for place, character in enumerate(text):
        more = _character_columns(character)
        if width + more > max_width and place > first:
            yield text[first:place]
            first, width = place, 0
        width += more
    yield text[first:]


class _Times:
    """Times of the offsets of a segment's text: exact at the words that are in it, else interpolated."""

    def __init__(self, segment: Segment, text: str) -> None:
        end = max(segment.start, segment.end)
        spoken = list(_word_spans(segment, text))
        self._starts = {low: start for low, _, start, _ in spoken}
        self._ends = {high: finish for _, high, _, finish in spoken}
        points = [(0, segment.start), *((low, start) for low, _, start, _ in spoken)]
        points += [(high, finish) for _, high, _, finish in spoken[-1:]] + [(len(text), end)]
        self._offsets = [offset for offset, _ in points]
        self._seconds = [seconds for _, seconds in points]
        for place, (before, after) in enumerate(pairwise(self._seconds), start=1):
            self._seconds[place] = max(before, self._seconds[place - 1], after)

    def at(self, offset: int) -> float:
        """Return the seconds at which the text begins at ``offset``."""
        if offset in self._starts:
            return self._starts[offset]
        after = min(max(bisect_right(self._offsets, offset), 1), len(self._offsets) - 1)
        low, high = self._offsets[after - 1], self._offsets[after]
        start, end = self._seconds[after - 1], self._seconds[after]
        return start + (end - start) * min((offset - low) / (high - low), 1.0) if high > low else end

    def end_of(self, offset: int, after: int) -> float:
        """Return the seconds at which the text ends at ``offset``: where it is not known, no pause before the next text."""
        return self._ends[offset] if offset in self._ends else self.at(after)


def _word_spans(segment: Segment, text: str) -> Iterator[tuple[int, int, float, float]]:
    """Yield (first, last offset, start, end) of the words that are found in the text, with times in order."""
    position, time = 0, segment.start
    for word in segment.words:
        spoken = " ".join(word.text.split())
        found = text.find(spoken, position) if spoken else -1
        if found < 0:
            continue
        start = max(word.start, time)
        time = max(start, word.end)
        position = found + len(spoken)
        yield found, position, start, time
