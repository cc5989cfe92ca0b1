"""How good a result is: error rates against a reference.

All rates are fractions, not percent, and carry their counts, so that the rate of a corpus is the sum over its files.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stt_pipeline.speech.evaluation.numbers import numbers_alike, numbers_of
from stt_pipeline.speech.transcript import SpeakerTurn

if TYPE_CHECKING:
    from pyannote.core import Annotation

_SPOKEN_SIGNS = frozenset("%")  # has a word of its own ("퍼센트"), so leaving it out is an error


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Errors against the length of the reference, in characters, words or seconds.

    Rates add up: ``sum(rates, ErrorRate())`` is the rate over all files.
    """

    errors: float = 0
    length: float = 0

    @property
    def rate(self) -> float:
        """Errors over length; with an empty reference 0 if nothing is wrong, else 1. Insertions can lift it above 1."""
        if self.length:
            return self.errors / self.length
        return 1.0 if self.errors else 0.0

    def __add__(self, other: "ErrorRate") -> "ErrorRate":
        return ErrorRate(self.errors + other.errors, self.length + other.length)


def normalize(text: str) -> str:
    """Return text as it is scored: NFC, lower case, punctuation and symbols but ``%`` as spaces, single spaces.

    What Whisper's own ``BasicTextNormalizer`` does, but for NFC in place of NFKC, and the per cent sign. Numbers stay
    as they are written: "3" is not "세".
    """
    composed = unicodedata.normalize("NFC", text).casefold()
    kept = (
        character if character in _SPOKEN_SIGNS or unicodedata.category(character)[0] not in "PSC" else " "
        for character in composed
    )
    return " ".join("".join(kept).split())


def character_error_rate(reference: str, hypothesis: str) -> ErrorRate:
    """Return the CER of normalised texts, spaces left out: Korean spacing is a matter of taste even among writers."""
    import jiwer

    characters = normalize(reference).replace(" ", "")
    found = jiwer.process_characters(characters, normalize(hypothesis).replace(" ", ""))
    return ErrorRate(found.substitutions + found.deletions + found.insertions, len(characters))


def word_error_rate(reference: str, hypothesis: str) -> ErrorRate:
    """Return the WER of normalised texts, words being what spaces separate."""
    import jiwer

    words = normalize(reference)
    found = jiwer.process_words(words, normalize(hypothesis))
    return ErrorRate(found.substitutions + found.deletions + found.insertions, len(words.split()))


def number_error_rate(reference: str, hypothesis: str) -> ErrorRate:
    """Return how many numbers are wrong, left out or made up, over the numbers of the reference.

    Numbers are compared by their value, in order, however they are written ("이백만", "200만" and "2,000,000").
    """
    import jiwer

    wanted, found = numbers_of(reference), numbers_of(hypothesis)
    if not wanted:  # jiwer takes no empty reference
        return ErrorRate(len(found), 0)
    result = jiwer.process_words(" ".join(wanted), " ".join(found))
    return ErrorRate(result.substitutions + result.deletions + result.insertions, len(wanted))


def character_error_rate_numbers_alike(reference: str, hypothesis: str) -> ErrorRate:
    """Return the CER of texts whose numbers are spelled one way, so that "세 시" for "3시" is no error."""
    return character_error_rate(numbers_alike(reference), numbers_alike(hypothesis))


def diarization_error_rate(
    reference: Sequence[SpeakerTurn], hypothesis: Sequence[SpeakerTurn], collar: float = 0.0
) -> ErrorRate:
    """Return the DER in seconds: missed speech, false alarms and confused speakers over the reference's speech.

    Labels need not match: speakers are mapped in the best way. Overlapping speech is scored.

    Args:
        reference: the true turns.
        hypothesis: the turns to judge.
        collar: seconds on either side of each reference boundary that are not scored, as in NIST's md-eval, where 0.25
            is usual. (pyannote.metrics means both sides together by its argument of this name.)
    """
    from pyannote.core import Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    turns = [*reference, *hypothesis]
    if not turns:
        return ErrorRate()
    everything = Segment(min(turn.start for turn in turns) - collar, max(turn.end for turn in turns) + collar)
    components = DiarizationErrorRate(collar=2 * collar).compute_components(
        _annotation(reference), _annotation(hypothesis), uem=Timeline([everything])
    )
    errors = components["missed detection"] + components["false alarm"] + components["confusion"]
    return ErrorRate(float(errors), float(components["total"]))


def _annotation(turns: Sequence[SpeakerTurn]) -> "Annotation":
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    for track, turn in enumerate(turns):
        annotation[Segment(turn.start, turn.end), track] = turn.speaker
    return annotation
