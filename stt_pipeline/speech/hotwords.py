"""Hotwords: names and terms for the model's prompt, and suggestions where the model may have misrecognized a name."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Final

from stt_pipeline.speech.korean import Morpheme, morphemes
from stt_pipeline.speech.korean.particles import ONLY_PARTICLES
from stt_pipeline.speech.transcript import Segment, Word

MAX_TOKENS: Final = 223
"""Of hotwords in Whisper's prompt: half of its 448 positions, less the token that starts the prompt (faster-whisper)."""

SEPARATOR: Final = ", "
"""Between hotwords in the prompt."""

_NAME: Final = re.compile("[가-힣]{3,}")
_PUNCTUATION: Final = ".,?!…"
_MAX_DIFFERENT_SHARE: Final = 0.25
"""Of the jamo of a name that may differ: two of the nine in 김민석."""


@dataclass(frozen=True, slots=True)
class FittedHotwords:
    """Hotwords that fit into the prompt together, the most important first, and those that do not."""

    kept: tuple[str, ...]
    dropped: tuple[str, ...]


def fit(
    hotwords: Sequence[str], count_tokens: Callable[[str], int], max_tokens: int = MAX_TOKENS
) -> FittedHotwords:
    """Return the hotwords that fit into the model's prompt together.

    A hotword is kept if there is room for it after those before it. So a long one that is dropped leaves room for shorter
    ones after it. Duplicates are removed.

    Args:
        hotwords: names and terms, the most important first.
        count_tokens: returns the number of tokens of a text; it is called with the words joined by `SEPARATOR`.
        max_tokens: the limit.
    """
    kept: list[str] = []
    dropped: list[str] = []
    for word in _unique(hotwords):
        (kept if count_tokens(SEPARATOR.join([*kept, word])) <= max_tokens else dropped).append(word)
    return FittedHotwords(tuple(kept), tuple(dropped))


def suggest(segments: Sequence[Segment], names: Sequence[str]) -> tuple[Segment, ...]:
    """Return ``segments`` with `Word.suggestion` set where a word may be a misrecognized name; no text is changed.

    A word of Korean text gets a suggestion if, without its particles, it has the same number of syllables as one of
    ``names``, at most a quarter of the jamo differ, it is not one of the names, no other name is as similar, and
    kiwipiepy tags it as a proper noun: "김민숙 부장님" suggests 김민석. Names of fewer than three syllables, and names in
    Latin letters, are never suggested: too many words are similar to them.

    Args:
        segments: after correction; those in other languages are returned unchanged.
        names: of persons and things; titles beside them ("김민석 부장") are ignored.
    """
    known = _names(tuple(names))
    if not known:
        return tuple(segments)
    return tuple(
        _with_suggestions(segment, known) if segment.language == "ko" and segment.words else segment
        for segment in segments
    )


def _with_suggestions(segment: Segment, names: Sequence[str]) -> Segment:
    if not any(_candidates(word.text, names) for word in segment.words):
        return segment  # the usual case, without a call of kiwipiepy
    text = "".join(word.text for word in segment.words)
    parts = morphemes(text)
    position, words = 0, []
    for word in segment.words:
        start = position + len(word.text) - len(word.text.lstrip())
        position += len(word.text)
        words.append(_with_suggestion(word, start, parts, names))
    return replace(segment, words=tuple(words))


def _with_suggestion(word: Word, start: int, parts: Sequence[Morpheme], names: Sequence[str]) -> Word:
    nearest = _candidates(word.text, names)
    best = min((distance for distance, _ in nearest), default=0)
    found = [name for distance, name in nearest if distance == best]
    # it is one of the names, or two names are equally similar
    if not best or len(found) > 1 or not _is_proper_noun(parts, start, start + len(found[0])):
        return word
    return replace(word, suggestion=found[0])


def _candidates(word: str, names: Sequence[str]) -> list[tuple[int, str]]:
    """Return the names that ``word`` is similar to, each with the number of jamo that differ; 0 is the name itself."""
    stem = word.strip().rstrip(_PUNCTUATION)
    return [
        (distance, name)
        for name in names
        if (distance := _distance(stem[: len(name)], name)) is not None
        and _only_particles().fullmatch(stem, len(name))
    ]


@lru_cache(maxsize=100_000)  # the same words are frequent
def _distance(word: str, name: str) -> int | None:
    """Return the number of different jamo; None if there are too many, or if the number of syllables differs."""
    from rapidfuzz.distance import Levenshtein

    if len(word) != len(name):
        return None
    letters = _jamo(name)
    max_distance = int(_MAX_DIFFERENT_SHARE * len(letters))
    distance = int(Levenshtein.distance(_jamo(word), letters, score_cutoff=max_distance))
    return distance if distance <= max_distance else None


def _is_proper_noun(parts: Sequence[Morpheme], start: int, end: int) -> bool:
    """Return whether kiwipiepy tags the characters from ``start`` to ``end`` as a name.

    That is one proper noun, or one followed by single syllables, which is how it splits unknown names (김민 숙).
    """
    inside = [part for part in parts if part.start < end and part.end > start]
    return (
        bool(inside)
        and inside[0].start == start
        and inside[-1].end == end
        and inside[0].tag == "NNP"
        and all(part.tag in ("NNP", "NNG", "XSN") and len(part.form) == 1 for part in inside[1:])
    )


@lru_cache(maxsize=32)
def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the Korean words of ``names`` that are long enough. Titles do no harm: they are not proper nouns."""
    pieces = [piece for name in names for piece in unicodedata.normalize("NFC", name).split()]
    return tuple(piece for piece in _unique(pieces) if _NAME.fullmatch(piece))


def _jamo(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@cache
def _only_particles() -> re.Pattern[str]:
    return re.compile(ONLY_PARTICLES)


def _unique(words: Sequence[str]) -> list[str]:
    """Return ``words`` without empty ones and without duplicates; spacing and case are ignored."""
    found: dict[str, str] = {}
    for word in words:
        line = " ".join(word.split())
        if line:
            found.setdefault(line.casefold(), line)
    return list(found.values())
