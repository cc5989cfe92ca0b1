"""Missing and extra spaces, where the correction is unambiguous. Text in, edits out.

kiwipiepy's own spacing also splits 재무팀, 설명드리다 and "80 %", which is optional or wrong: it changes 98 of 585 well-spaced
texts of the samples and tests. So it is used only where the neighboring morphemes leave no choice: a new word begins after
a particle, an ending or an adverb, or a particle, an ending or a suffix stands alone.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from stt_pipeline.speech.korean.morphology import Morpheme, has_hangul, morphemes, spaced
from stt_pipeline.speech.korean.timed_text import Edit

_CLOSES: Final = ("JK", "JX", "JC", "EF", "ETM", "EC", "ETN", "MAG")
_OPENS: Final = ("NNG", "NNP", "NP", "MM", "MA", "VV", "VA", "SL")
_HANGS: Final = ("JK", "JX", "JC", "EF", "EC", "EP", "ET", "XSV", "XSA", "VCP")

_STAY: Final = frozenset(("못", "안", "잘", "더", "또", "다", "한번"))
"""Adverbs that may form one word with the next one (못하다, 잘하다)."""

_SMALL_WORDS: Final = frozenset(("것", "거", "수", "줄", "적", "때", "분"))
"""Bound nouns that always have a space before them; 번, 지 and 달 do not (지난번)."""


def spacing_edits(text: str) -> Iterator[Edit]:
    """Yield the edits that insert and delete single spaces in ``text``."""
    wanted = spaced(text)
    places = [place for place, character in enumerate(text) if not character.isspace()]
    if [text[place] for place in places] != [
        character for character in wanted if not character.isspace()
    ]:  # kiwipiepy also corrects spelling, and then the texts cannot be compared
        return
    begins, ends = _bounds(wanted)
    gaps = _gaps(wanted)
    for number, (before, after) in enumerate(pairwise(places), start=1):
        has_space, wants_space = after > before + 1, number in gaps
        if has_space == wants_space or not (has_hangul(text[after]) or text[after].isdigit()):
            continue
        first, last = begins.get(number), ends.get(number)
        if wants_space:
            if first and last and has_hangul(text[before]) and _is_word(last, first):
                yield Edit(after, after, " ")
        elif after == before + 2 and text[before].isalnum() and first and first.tag.startswith(_HANGS):
            yield Edit(before + 1, after)


def _is_word(last: Morpheme, first: Morpheme) -> bool:
    """Return whether ``first`` begins a new word after ``last``."""
    if last.form == "수" and last.tag == "NNB":
        return first.form in ("있", "없")
    if last.form in _STAY or not last.tag.startswith(_CLOSES):
        return False
    if last.tag == "ETM" and first.form in _SMALL_WORDS:
        return True
    if first.tag == "SN":
        return last.tag.startswith("J")
    if first.tag == "VX":  # the space is optional for most of them, but not in 하고 있다
        return first.form == "있"
    return first.tag.startswith(_OPENS)


def _gaps(text: str) -> set[int]:
    """Return the indices of the characters of ``text``, without spaces, that have a space before them."""
    found, number = set(), 0
    for character in text:
        if character.isspace():
            found.add(number)
        else:
            number += 1
    return found


def _bounds(text: str) -> tuple[dict[int, Morpheme], dict[int, Morpheme]]:
    """Return the morphemes by the index of their first character, and by their end; spaces are not counted."""
    numbers, number = [], 0
    for character in text:
        numbers.append(number)
        number += not character.isspace()
    numbers.append(number)
    parts = morphemes(text)
    begins: dict[int, Morpheme] = {}
    ends: dict[int, Morpheme] = {}
    for part in parts:
        begins.setdefault(numbers[part.start], part)  # 했 is 하 and 었, and begins with the verb
        ends[numbers[part.end]] = part
    return begins, ends
