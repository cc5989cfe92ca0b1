"""Repetition in text: its compression ratio, and loops of one unit. No audio here."""

import math
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Whisper takes text with a ratio over 2.4 for a loop, whatever its length. In UTF-8 a Korean syllable has three bytes, the
# first of which is nearly always the same, so normal Korean text compresses better than English, and longer text better
# than short text. Measured on all substrings of 40/80/120/200/300/400 characters of the samples, 4,000 sentences of the
# demo model's grammar in a row, invented meetings, and Korean laws (the most repetitive): the highest ratios were
#     demo grammar 1.55/1.67/1.82/2.06/2.23/2.27, meetings 1.13/1.33/1.44/1.59/1.69/1.79, laws 1.66/1.97/2.03/2.53/2.80/2.99,
# while a sentence of 15 syllables three times (45 characters) has 2.1, and one of 37 three times (111) 2.7.
# So the threshold is a line over the logarithm of the length, above all of these.
_MIN_LENGTH = 40  # characters; in shorter text the header of zlib is too large, and only `loops` counts
_RATIO_AT_MIN_LENGTH = 1.8
_RATIO_PER_DOUBLING = 0.42

# Repetitions that make a loop, by the length of the unit in letters: "네 네 네 네 네" is normal speech, and so are three
# speakers who all say "안녕하세요". None of the texts above has this many.
_MIN_REPETITIONS = ((1, 10), (3, 6), (6, 4), (10, 3))

# every loop repeats at least 4 substrings of 6 letters
_NGRAM, _MIN_REPEATED_NGRAMS = 6, 4

MAX_UNIT = 250
"""Letters of the longest unit of a loop: half a minute of fast speech."""


@dataclass(frozen=True, slots=True)
class Loop:
    """``text[start:end]`` of :func:`letters` is one unit, ``times`` times."""

    start: int
    end: int
    times: int


def compression_ratio(text: str) -> float:
    """Return the bytes of ``text`` over those of its compressed form, as Whisper does; 0 for an empty text."""
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded)) if encoded else 0.0


def compresses_too_well(text: str) -> bool:
    """Return whether ``text`` is more repetitive than normal text of its length."""
    if len(text) < _MIN_LENGTH:
        return False
    return compression_ratio(text) > _RATIO_AT_MIN_LENGTH + _RATIO_PER_DOUBLING * math.log2(
        len(text) / _MIN_LENGTH
    )


def letters(text: str) -> str:
    """Return ``text`` for comparison: only letters and digits, NFC, in lower case."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFC", text).casefold()))


def loops(text: str, max_unit: int = MAX_UNIT) -> list[Loop]:
    """Return the loops in ``text`` (of :func:`letters`), in order of the length of their unit.

    Args:
        text: to be searched.
        max_unit: letters of the longest unit.
    """
    if (
        len(text) - _NGRAM + 1 - len({text[at : at + _NGRAM] for at in range(len(text) - _NGRAM + 1)})
        < _MIN_REPEATED_NGRAMS
    ):
        return []  # the usual case: the search takes ten times as long
    return list(_loops(np.frombuffer(text.encode("utf-32-le"), np.uint32), max_unit))


def _loops(codes: npt.NDArray[np.uint32], max_unit: int) -> Iterator[Loop]:
    fewest = min(times for _, times in _MIN_REPETITIONS)
    for unit in range(1, min(max_unit, len(codes) // fewest) + 1):
        times = next(times for length, times in reversed(_MIN_REPETITIONS) if unit >= length)
        same = codes[:-unit] == codes[unit:]
        needed = unit * (times - 1)
        if np.count_nonzero(same) < needed:
            continue
        edges = np.flatnonzero(np.diff(same, prepend=False, append=False))
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            if last - first >= needed:
                yield Loop(int(first), int(last) + unit, (int(last - first)) // unit + 1)
