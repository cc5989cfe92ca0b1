"""Extracts the searchable terms of a text, the same way for indexed text and for queries.

Korean: content words, which are nouns, verbs and adjectives in their dictionary form, adverbs, and derivational prefixes
and suffixes; no particles, endings, pronouns or fillers. Other scripts: case-folded words and numbers; single
characters in scripts without spaces between words.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from stt_pipeline.speech import korean
from stt_pipeline.speech.korean import Morpheme

LONGEST = 100  # characters of a term; Postgres limits a lexeme to 2,046 bytes

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
)
_CHARACTER = re.compile(f"[{_UNSPACED}]")
_OTHER = re.compile(
    rf"\d{{1,3}}(?:,\d{{3}})+(?![\d,])|\d+|[{_UNSPACED}]"
    rf"|(?:(?![가-힣{_UNSPACED}])[^\W\d_])+"
)
# the analyser tags text after these signs as hashtags and mentions
_SIGNS = str.maketrans("#@", "  ")
_NOMINAL = frozenset(("NNG", "NNP", "NNB", "NR", "XR", "XPN", "XSN", "UN"))
_VERBAL = frozenset(("VV", "VA"))
_EMPTY = frozenset(
    (
        *("것/NNB", "거/NNB", "수/NNB", "줄/NNB", "데/NNB", "바/NNB", "지/NNB", "뿐/NNB"),
        *("들/XSN", "님/XSN", "하/VV", "되/VV", "있/VV", "있/VA"),
        *("그렇/VA", "이렇/VA", "저렇/VA", "어떻/VA"),
    )
)
"""Stop words. 님 and 들 are among them, so that a search for 과장 finds 과장님."""


@dataclass(frozen=True, slots=True)
class Term:
    """A searchable word, and its offsets in the text.

    ``nominal``: the word can be part of a compound, such as 정기 and 회의 in 정기회의.
    """

    lexeme: str
    start: int
    end: int
    nominal: bool = True


@dataclass(frozen=True, slots=True)
class Compound:
    """Terms ``first`` to ``last`` that are written as one word.

    The analyser may split an unknown name differently in another sentence; the compound is always the same.
    """

    lexeme: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a text in order, and their compounds."""

    terms: tuple[Term, ...]
    compounds: tuple[Compound, ...]

    @property
    def lexemes(self) -> tuple[str, ...]:
        """The lexemes of the terms."""
        return tuple(term.lexeme for term in self.terms)

    @property
    def joined(self) -> tuple[str, ...]:
        """The lexemes, with each compound as one lexeme."""
        within = {compound.first: compound for compound in self.compounds}
        found, place = [], 0
        while place < len(self.terms):
            compound = within.get(place)
            found.append(compound.lexeme if compound else self.terms[place].lexeme)
            place = compound.last + 1 if compound else place + 1
        return tuple(found)


def normalized(text: str) -> str:
    """Return ``text`` in NFC, the form that is analysed and stored, so that offsets are valid in both."""
    return unicodedata.normalize("NFC", text)


def terms_of(text: str) -> Terms:
    """Return the terms of a normalized text; pass a few sentences at a time, for speed."""
    return _terms(text, korean.morphemes(text.translate(_SIGNS)) if korean.has_hangul(text) else ())


def readings_of(word: str, most: int) -> list[Terms]:
    """Return the possible readings of a single normalized word, the likeliest first, at most ``most``."""
    if not korean.has_hangul(word):
        return [_terms(word, ())]
    # less likely readings are not real words: 결 + 정 for 결정 has a score 11 lower
    found = korean.readings(word.translate(_SIGNS), most, margin=5.0)
    return [_terms(word, morphemes) for morphemes in found]


def _terms(text: str, morphemes: Sequence[Morpheme]) -> Terms:
    found = [
        Term(_folded(one[0]), one.start(), one.end(), nominal=not _CHARACTER.match(one[0]))
        for one in _OTHER.finditer(text)
    ]
    for part in morphemes:
        if part.end <= part.start or not korean.has_hangul(text[part.start : part.end]):
            continue
        if f"{part.form}/{part.tag}" in _EMPTY:
            continue
        if part.tag in _VERBAL:
            found.append(Term(_folded(f"{part.form}다"), part.start, part.end, nominal=False))
        elif part.tag == "MAG":
            found.append(Term(_folded(part.form), part.start, part.end, nominal=False))
        elif part.tag in _NOMINAL:
            found.append(Term(_folded(part.form), part.start, part.end))
    found.sort(key=lambda term: term.start)
    return Terms(tuple(found), tuple(_compounds(text, found)))


def _compounds(text: str, terms: Sequence[Term]) -> list[Compound]:
    cuts = [0]
    for place, (before, after) in enumerate(pairwise(terms), start=1):
        if before.end != after.start or not before.nominal or not after.nominal:
            cuts.append(place)
    cuts.append(len(terms))
    return [
        Compound(_folded(text[terms[first].start : terms[end - 1].end]), first, end - 1)
        for first, end in pairwise(cuts)
        if end - first > 1
    ]


def _folded(word: str) -> str:
    return word.replace(",", "").casefold()[:LONGEST]
