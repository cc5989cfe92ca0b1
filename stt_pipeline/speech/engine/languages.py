"""In which language a recording is: a vote of its chunks, weighted by how long somebody talks in them."""

from dataclasses import dataclass, field

from stt_pipeline.speech.engine.decoding import Languages

# Whisper tells the language of less speech, or with less certainty, about as well as chance does between neighbours
# such as Korean and Japanese; such a chunk takes the recording's.
LEAST_SPEECH = 3.0  # seconds
LEAST_CERTAIN = 0.5


@dataclass(slots=True)
class LanguageVote:
    """The votes so far; they do not depend on the order of the chunks."""

    _votes: dict[int, tuple[float, Languages]] = field(default_factory=dict)

    def add(self, index: int, speech_seconds: float, languages: Languages) -> None:
        """Count what was told of a chunk; what was told of the same chunk before is replaced."""
        self._votes[index] = (speech_seconds, languages)

    def result(self) -> tuple[str, float]:
        """Return the language and its share of the votes, 0 to 1; empty where nobody voted.

        Chunks that are long and certain decide; where there are none, all do.
        """
        votes = [vote for _, vote in sorted(self._votes.items())]  # sums of floats depend on their order
        shares: dict[str, float] = {}
        for seconds, languages in [vote for vote in votes if clear(*vote)] or votes:
            for code, probability in languages.items():
                shares[code] = shares.get(code, 0.0) + seconds * probability
        total = sum(shares.values())
        if not total:
            return "", 0.0
        best = max(sorted(shares), key=lambda code: shares[code])
        return best, min(1.0, shares[best] / total)


def clear(speech_seconds: float, languages: Languages) -> bool:
    """Tell whether a chunk's language can be told from itself."""
    return speech_seconds >= LEAST_SPEECH and max(languages.values()) >= LEAST_CERTAIN
