"""The language of a recording: a vote of its chunks, weighted by their seconds of speech.

Where the language is given, a few chunks vote anyway, to find recordings in another language.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from stt_pipeline.speech.engine.decoding import LanguageProbabilities

# With less speech, or less probability, Whisper's detection between similar languages such as Korean and Japanese is
# hardly better than chance; such a chunk takes the language of the recording.
MIN_SPEECH_SECONDS = 3.0
MIN_PROBABILITY = 0.5

# Whisper base, which is small, is right about every piece with this much speech (95 of Korean talks, clean and noisy); of those
# with less than 3 s it takes 5 of 112 for another language
MIN_SAMPLE_SECONDS = 5.0

# Less is not kept: of 99 languages that is nearly all, for each chunk of a long recording
_MIN_KEPT_PROBABILITY = 0.01


@dataclass(slots=True)
class LanguageVote:
    """The votes of the chunks so far."""

    _votes: dict[int, tuple[float, LanguageProbabilities]] = field(default_factory=dict)
    _clear: dict[str, float] = field(default_factory=dict)
    _unclear: dict[str, float] = field(default_factory=dict)

    def add(self, index: int, speech_seconds: float, probabilities: LanguageProbabilities) -> None:
        """Count the vote of a chunk; a second vote of the same chunk is ignored."""
        if index in self._votes:
            return
        kept = {sys.intern(code): p for code, p in probabilities.items() if p >= _MIN_KEPT_PROBABILITY}
        self._votes[index] = (speech_seconds, kept)
        _add(self._clear if is_clear(speech_seconds, probabilities) else self._unclear, speech_seconds, kept)

    def leading(self) -> str:
        """Return the language with most votes so far. Unlike :meth:`result` it may depend on the order of the votes."""
        return _first(self._clear or self._unclear)

    def result(self) -> tuple[str, float]:
        """Return the language and its share of the votes, 0 to 1; an empty code without votes.

        Clear chunks decide; if there are none, all do. The result does not depend on the order of the votes.
        """
        votes = [vote for _, vote in sorted(self._votes.items())]  # sums of floats depend on their order
        shares: dict[str, float] = {}
        for seconds, probabilities in [vote for vote in votes if is_clear(*vote)] or votes:
            _add(shares, seconds, probabilities)
        total = sum(shares.values())
        best = _first(shares)
        return best, min(1.0, shares[best] / total) if total else 0.0


@dataclass(slots=True)
class LanguageSamples:
    """Chooses the chunks of a recording that vote where its language is given.

    Detection costs 1 to 2 % of the time of a chunk. Of the chunks with enough speech, the first, third, ninth and so on are
    taken: two of five in two minutes, five of 150 in an hour, from all parts of the recording.
    """

    _candidates: int = 0
    _next: int = 1

    def takes(self, speech_seconds: float) -> bool:
        """Return whether the next chunk, which has this much speech, votes."""
        if speech_seconds < MIN_SAMPLE_SECONDS:
            return False
        self._candidates += 1
        if self._candidates < self._next:
            return False
        self._next *= 3
        return True


def limited_to(allowed: Sequence[str], probabilities: LanguageProbabilities) -> LanguageProbabilities:
    """Return the probabilities of the allowed languages only, with a sum of 1; of all if ``allowed`` is empty."""
    if not allowed:
        return probabilities
    some = {code: probabilities.get(code, 0.0) for code in allowed}
    total = sum(some.values())
    return {code: p / total for code, p in some.items()} if total else dict.fromkeys(some, 1 / len(some))


def is_clear(speech_seconds: float, probabilities: LanguageProbabilities) -> bool:
    """Return whether a chunk is enough to detect its language."""
    return speech_seconds >= MIN_SPEECH_SECONDS and max(probabilities.values()) >= MIN_PROBABILITY


def _add(shares: dict[str, float], seconds: float, probabilities: LanguageProbabilities) -> None:
    for code, probability in probabilities.items():
        shares[code] = shares.get(code, 0.0) + seconds * probability


def _first(shares: LanguageProbabilities) -> str:
    return max(sorted(shares), key=lambda code: shares[code]) if any(shares.values()) else ""
