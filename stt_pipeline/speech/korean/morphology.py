"""Korean morphology by kiwipiepy, loaded once a process and only when Korean is met. No rule of meetings or search here.

Tags are those of the Sejong corpus: NNG/NNP nouns, VV/VX verbs, EP/EF/EC endings, JKS/JKO/JX particles
(https://github.com/bab2min/Kiwi#tag set).
"""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

_HANGUL = re.compile(r"[가-힣]")
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Morpheme:
    """A morpheme of a sentence; ``start`` and ``end`` count characters of the sentence's text."""

    form: str
    tag: str
    start: int
    end: int

    @property
    def is_noun(self) -> bool:
        """Whether it can carry a noun phrase: nouns, foreign words, numbers, and what hangs on them."""
        return self.tag[:2] in ("NN", "SL", "SN", "SH", "NR", "XP", "XR") or self.tag == "XSN"

    @property
    def is_particle(self) -> bool:
        """Whether it is a particle (josa)."""
        return self.tag.startswith("J")

    @property
    def is_verb(self) -> bool:
        """Whether it is a verb, an adjective, or a suffix that makes one."""
        return self.tag.split("-")[0] in ("VV", "VA", "VX", "VCP", "VCN", "XSV", "XSA")


def has_hangul(text: str) -> bool:
    """Tell whether ``text`` holds a Korean syllable."""
    return _HANGUL.search(text) is not None


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Return the spans of the sentences in ``text``; works on speech without punctuation too."""
    return [(part.start, part.end) for part in _kiwi().split_into_sents(text)] if text.strip() else []


def spaced(text: str) -> str:
    """Return ``text`` with spaces where kiwipiepy would put them; beside numbers and between nouns it is not to be followed."""
    return str(_kiwi().space(text))


def morphemes(text: str) -> tuple[Morpheme, ...]:
    """Return the morphemes of ``text`` in order."""
    return _morphemes(_kiwi().tokenize(text))


def readings(text: str, most: int, *, margin: float) -> list[tuple[Morpheme, ...]]:
    """Return how ``text`` may be read, likeliest first: at most so many readings, none too unlikely.

    Args:
        margin: how far a reading's log-probability may lie below that of the likeliest one.
    """
    found = _kiwi().analyze(text, top_n=most)
    best = max((score for _, score in found), default=0.0)
    return [_morphemes(tokens) for tokens, score in found if score >= best - margin]


def tagged(parts: Sequence[Morpheme]) -> str:
    """Return ``form/TAG form/TAG ...`` with a space after each, the form in which the rules are written."""
    return "".join(f"{part.form}/{part.tag} " for part in parts)


def _morphemes(tokens: Sequence[Any]) -> tuple[Morpheme, ...]:
    return tuple(Morpheme(token.form, token.tag.split("-")[0], token.start, token.end) for token in tokens)


def _kiwi() -> Any:
    with _LOCK:  # two threads that come first together must not load it twice
        return _load()


@cache
def _load() -> Any:
    from kiwipiepy import Kiwi

    return Kiwi(num_workers=1)
