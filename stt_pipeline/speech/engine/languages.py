"""In which language a recording is: a vote of its chunks, weighted by how long somebody talks in them."""

import sys
from dataclasses import dataclass, field

from stt_pipeline.speech.engine.decoding import Languages

# Whisper tells the language of less speech, or with less certainty, about as well as chance does between neighbours
# such as Korean and Japanese; such a chunk takes the recording's.
LEAST_SPEECH = 3.0  # seconds
LEAST_CERTAIN = 0.5


_LEAST_LIKELY = (
    0.01  # less is not kept: of 99 languages that is nearly all, for each of a long recording's chunks
)


@dataclass(slots=True)
class LanguageVote:
    """The votes so far."""

    _votes: dict[int, tuple[float, Languages]] = field(default_factory=dict)
    _clear: dict[str, float] = field(default_factory=dict)
    _unclear: dict[str, float] = field(default_factory=dict)

    def add(self, index: int, speech_seconds: float, languages: Languages) -> None:
        """Count what was told of a chunk, once."""
        if index in self._votes:
            return
        likely = {sys.intern(code): p for code, p in languages.items() if p >= _LEAST_LIKELY}
        self._votes[index] = (speech_seconds, likely)
        _count(self._clear if clear(speech_seconds, languages) else self._unclear, speech_seconds, likely)

    def leading(self) -> str:
        """Return the language that is ahead; it may depend on the order of the votes by a hair, unlike the result."""
        return _most(self._clear or self._unclear)

    def result(self) -> tuple[str, float]:
        """Return the language and its share of the votes, 0 to 1; empty where nobody voted.

        Chunks that are long and certain decide; where there are none, all do. The order of the votes makes no difference.
        """
        votes = [vote for _, vote in sorted(self._votes.items())]  # sums of floats depend on their order
        shares: dict[str, float] = {}
        for seconds, languages in [vote for vote in votes if clear(*vote)] or votes:
            _count(shares, seconds, languages)
        total = sum(shares.values())
        best = _most(shares)
        return best, min(1.0, shares[best] / total) if total else 0.0


def clear(speech_seconds: float, languages: Languages) -> bool:
    """Tell whether a chunk's language can be told from itself."""
    return speech_seconds >= LEAST_SPEECH and max(languages.values()) >= LEAST_CERTAIN


def _count(shares: dict[str, float], seconds: float, languages: Languages) -> None:
    for code, probability in languages.items():
        shares[code] = shares.get(code, 0.0) + seconds * probability


def _most(shares: Languages) -> str:
    return max(sorted(shares), key=lambda code: shares[code]) if any(shares.values()) else ""
