"""Text that goes round in circles: how well it compresses, and what is said again and again at once. No sound here."""

import math
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Whisper calls text with a ratio over 2.4 a loop, whatever its length. In UTF-8 a Korean syllable takes three bytes, the
# first of which is nearly always the same, so that honest Korean compresses better than English, the better the longer
# it is. Measured on all stretches of 40/80/120/200/300/400 characters of the samples, 4,000 sentences of the demo model's
# grammar in a row, made-up meetings, and Korean laws (the most repetitive of all): the highest ratios were
#     demo grammar 1.55/1.67/1.82/2.06/2.23/2.27, meetings 1.13/1.33/1.44/1.59/1.69/1.79, laws 1.66/1.97/2.03/2.53/2.80/2.99,
# while a sentence of 15 syllables said three times (45 characters) has 2.1, and one of 37 said three times (111) 2.7.
# So the threshold is a line over the logarithm of the length that passes over all of these.
_SHORTEST = 40  # characters; below, headers of zlib outweigh the text, and `loops` counts
_AT_SHORTEST = 1.8
_PER_DOUBLING = 0.42

# How often something must be said at once to be a loop, by its length in letters: people do say "네 네 네 네 네", and
# three people greet each other with three times "안녕하세요". No text of those above comes near.
_TIMES = ((1, 10), (3, 6), (6, 4), (10, 3))

# in each of these loops at least so many strings of so many letters have been there before
_GRAM, _REPEATED = 6, 4

LONGEST_UNIT = 250
"""Letters of the longest unit that is looked for: what is said in half a minute of dense speech."""


@dataclass(frozen=True, slots=True)
class Loop:
    """``text[start:end]`` of :func:`letters` is one unit, said ``times`` times."""

    start: int
    end: int
    times: int


def compression_ratio(text: str) -> float:
    """Return the bytes of ``text`` over those of its compressed form, as Whisper does; 0 for an empty text."""
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded)) if encoded else 0.0


def compresses_too_well(text: str) -> bool:
    """Tell whether ``text`` repeats itself more than honest text of its length does."""
    if len(text) < _SHORTEST:
        return False
    return compression_ratio(text) > _AT_SHORTEST + _PER_DOUBLING * math.log2(len(text) / _SHORTEST)


def letters(text: str) -> str:
    """Return what counts in ``text`` when it is compared: letters and digits, composed, in lower case."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFC", text).casefold()))


def loops(text: str, longest: int = LONGEST_UNIT) -> list[Loop]:
    """Return where ``text`` (of :func:`letters`) says the same several times at once, in order of unit length.

    Args:
        longest: letters of the longest unit to look for.
    """
    if (
        len(text) - _GRAM + 1 - len({text[at : at + _GRAM] for at in range(len(text) - _GRAM + 1)})
        < _REPEATED
    ):
        return []  # most text ends here: what follows takes ten times as long
    return list(_loops(np.frombuffer(text.encode("utf-32-le"), np.uint32), longest))


def _loops(codes: npt.NDArray[np.uint32], longest: int) -> Iterator[Loop]:
    least = 3
    for unit in range(1, min(longest, len(codes) // least) + 1):
        times = next(times for length, times in reversed(_TIMES) if unit >= length)
        same = codes[:-unit] == codes[unit:]
        needed = unit * (times - 1)
        if np.count_nonzero(same) < needed:
            continue
        edges = np.flatnonzero(np.diff(same, prepend=False, append=False))
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            if last - first >= needed:
                yield Loop(int(first), int(last) + unit, (int(last - first)) // unit + 1)
