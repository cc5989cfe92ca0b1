"""Names and terms that are likely to be said: which of them the model can be shown, and where one may have been misheard."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Final

from stt_pipeline.speech.korean import Morpheme, morphemes
from stt_pipeline.speech.korean.particles import ONLY_PARTICLES
from stt_pipeline.speech.transcript import Segment, Word

MOST_TOKENS: Final = 223
"""Of hotwords that Whisper takes: half of its 448 positions, less the token that introduces them (faster-whisper)."""

SEPARATOR: Final = ", "
"""Between hotwords in the prompt."""

_NAME: Final = re.compile("[가-힣]{3,}")
_SIGNS: Final = ".,?!…"
_LARGEST_SHARE: Final = 0.25
"""Of a name's letters that may have been misheard: two of the nine in 김민석."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Hotwords that the model can be shown together, in order of their rank, and those for which there was no room."""

    kept: tuple[str, ...]
    left_out: tuple[str, ...]


def fit(hotwords: Sequence[str], count_tokens: Callable[[str], int], most: int = MOST_TOKENS) -> Fitted:
    """Return the hotwords that fit into the model's prompt together.

    They rank in the order in which they are given, the most important first; what comes twice counts once, at its first
    place. Each is taken if there is room for it besides those before it, so a long one that is left out makes room for
    shorter ones behind it.

    Args:
        hotwords: names and terms.
        count_tokens: how many tokens the model makes of a text; it is asked for the words joined by `SEPARATOR`.
        most: tokens that there is room for.
    """
    kept: list[str] = []
    left_out: list[str] = []
    for word in _unique(hotwords):
        (kept if count_tokens(SEPARATOR.join([*kept, word])) <= most else left_out).append(word)
    return Fitted(tuple(kept), tuple(left_out))


def suggest(segments: Sequence[Segment], names: Sequence[str]) -> tuple[Segment, ...]:
    """Return ``segments`` with `Word.suggestion` where a name may have been misheard; no text is changed.

    A word of Korean text gets a suggestion if, without its particles, it has as many syllables as one of ``names``, a
    quarter of the jamo differ at most, it is none of the names itself, no other name is as near, and kiwipiepy takes it
    for a proper noun: "김민숙 부장님" suggests 김민석. Names of fewer than three syllables, and names in Latin letters,
    are not looked for: too many words are near them.

    Args:
        segments: as they are corrected; those of other languages are returned as they are.
        names: of people and things; titles beside them ("김민석 부장") are left out of account.
    """
    known = _names(tuple(names))
    if not known:
        return tuple(segments)
    return tuple(
        _suggested(segment, known) if segment.language == "ko" and segment.words else segment
        for segment in segments
    )


def _suggested(segment: Segment, names: Sequence[str]) -> Segment:
    if not any(_candidates(word.text, names) for word in segment.words):
        return segment  # most: kiwipiepy is asked for the others only
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
    # it is a name already, or two names are as near as each other and nobody can tell which
    if not best or len(found) > 1 or not _is_proper_noun(parts, start, start + len(found[0])):
        return word
    return replace(word, suggestion=found[0])


def _candidates(word: str, names: Sequence[str]) -> list[tuple[int, str]]:
    """Return the names that ``word`` may be, each with the number of jamo that differ; 0 is the name itself."""
    heard = word.strip().rstrip(_SIGNS)
    return [
        (distance, name)
        for name in names
        if (distance := _distance(heard[: len(name)], name)) is not None
        and _only_particles().fullmatch(heard, len(name))
    ]


@lru_cache(maxsize=100_000)  # the same words are said again and again
def _distance(heard: str, name: str) -> int | None:
    """Return how many jamo of ``name`` were heard otherwise; None if too many, or if syllables are missing."""
    from rapidfuzz.distance import Levenshtein

    if len(heard) != len(name):
        return None
    letters = _jamo(name)
    most = int(_LARGEST_SHARE * len(letters))
    distance = int(Levenshtein.distance(_jamo(heard), letters, score_cutoff=most))
    return distance if distance <= most else None


def _is_proper_noun(parts: Sequence[Morpheme], start: int, end: int) -> bool:
    """Tell whether the characters from ``start`` to ``end`` are a name to kiwipiepy.

    One proper noun, or one with single syllables behind it, as it parts names that it does not know (김민 숙).
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
    """Return what is looked for: the Korean words of ``names``, long enough. A title does no harm: it is no name."""
    pieces = [piece for name in names for piece in unicodedata.normalize("NFC", name).split()]
    return tuple(piece for piece in _unique(pieces) if _NAME.fullmatch(piece))


def _jamo(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@cache
def _only_particles() -> re.Pattern[str]:
    return re.compile(ONLY_PARTICLES)


def _unique(words: Sequence[str]) -> list[str]:
    """Return ``words`` without empty ones, each once, however it is spaced and in whatever case."""
    found: dict[str, str] = {}
    for word in words:
        line = " ".join(word.split())
        if line:
            found.setdefault(line.casefold(), line)
    return list(found.values())
