"""Korean morphology by kiwipiepy, loaded once per process when the first Korean text arrives.

Tags are those of the Sejong corpus: NNG/NNP nouns, VV/VX verbs, EP/EF/EC endings, JKS/JKO/JX particles
(https://github.com/bab2min/Kiwi#tag set).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stt_pipeline.process_cache import once_per_process

_HANGUL = re.compile(r"[가-힣]")


@dataclass(frozen=True, slots=True)
class Morpheme:
    """A morpheme of a sentence; ``start`` and ``end`` are character offsets in the text of the sentence."""

    form: str
    tag: str
    start: int
    end: int

    @property
    def is_noun(self) -> bool:
        """Whether it can be part of a noun phrase: nouns, foreign words, numbers, and their affixes."""
        return self.tag[:2] in ("NN", "SL", "SN", "SH", "NR", "XP", "XR") or self.tag == "XSN"

    @property
    def is_particle(self) -> bool:
        """Whether it is a particle (josa)."""
        return self.tag.startswith("J")

    @property
    def is_verb(self) -> bool:
        """Whether it is a verb, an adjective, or a suffix that derives one."""
        return self.tag.split("-")[0] in ("VV", "VA", "VX", "VCP", "VCN", "XSV", "XSA")


def has_hangul(text: str) -> bool:
    """Return whether ``text`` contains a Korean syllable."""
    return _HANGUL.search(text) is not None


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Return the spans of the sentences in ``text``; works on speech without punctuation too."""
    return [(part.start, part.end) for part in load_kiwi().split_into_sents(text)] if text.strip() else []


def spaced(text: str) -> str:
    """Return ``text`` with kiwipiepy's spacing, which is unreliable next to numbers and between nouns."""
    return str(load_kiwi().space(text))


def log_probability(text: str) -> float:
    """Return the natural logarithm of the probability of ``text``, by kiwipiepy's language model; 0 for an empty text."""
    return float(load_kiwi().analyze(text)[0][1]) if text.strip() else 0.0


def morphemes(text: str) -> tuple[Morpheme, ...]:
    """Return the morphemes of ``text`` in order."""
    return _morphemes(load_kiwi().tokenize(text))


def readings(text: str, most: int, *, margin: float) -> list[tuple[Morpheme, ...]]:
    """Return the most probable morphological analyses of ``text``, the best first.

    Args:
        text: any Korean text.
        most: the maximum number of analyses.
        margin: the maximum distance of an analysis from the best one, in log-probability.
    """
    found = load_kiwi().analyze(text, top_n=most)
    best = max((score for _, score in found), default=0.0)
    return [_morphemes(tokens) for tokens, score in found if score >= best - margin]


def tagged(parts: Sequence[Morpheme]) -> str:
    """Return ``form/TAG form/TAG ...`` with a space after each: the format that the rules match."""
    return "".join(f"{part.form}/{part.tag} " for part in parts)


def _morphemes(tokens: Sequence[Any]) -> tuple[Morpheme, ...]:
    return tuple(Morpheme(token.form, token.tag.split("-")[0], token.start, token.end) for token in tokens)


@once_per_process()
def load_kiwi() -> Any:
    """Return the analyzer."""
    from kiwipiepy import Kiwi

    return Kiwi(num_workers=1)
