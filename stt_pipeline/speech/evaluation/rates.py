"""Error rates of a result against its reference.

All rates are fractions, not percent. They contain their counts, so the rate of a corpus is the sum over its files.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stt_pipeline.speech.evaluation.numbers import numbers_alike, numbers_of
from stt_pipeline.speech.transcript import SpeakerTurn

if TYPE_CHECKING:
    from pyannote.core import Annotation

_SPOKEN_SYMBOLS = frozenset("%")  # it is spoken as a word ("퍼센트"), so a missing one is an error


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Errors against the length of the reference, in characters, words or seconds.

    Rates add up: ``sum(rates, ErrorRate())`` is the rate over all files.
    """

    errors: float = 0
    length: float = 0

    @property
    def rate(self) -> float:
        """Errors over length; with an empty reference 0 without errors, else 1. Insertions can raise it above 1."""
        if self.length:
            return self.errors / self.length
        return 1.0 if self.errors else 0.0

    def __add__(self, other: "ErrorRate") -> "ErrorRate":
        return ErrorRate(self.errors + other.errors, self.length + other.length)


def normalize(text: str) -> str:
    """Return text normalized for scoring: NFC, lower case, single spaces instead of punctuation and symbols except ``%``.

    This follows Whisper's ``BasicTextNormalizer``, with NFC instead of NFKC, and keeps ``%``. Numbers keep their
    spelling: "3" is not "세".
    """
    composed = unicodedata.normalize("NFC", text).casefold()
    kept = (
        character if character in _SPOKEN_SYMBOLS or unicodedata.category(character)[0] not in "PSC" else " "
        for character in composed
    )
    return " ".join("".join(kept).split())


def character_error_rate(reference: str, hypothesis: str) -> ErrorRate:
    """Return the CER of normalized texts without spaces, because Korean spacing varies even among careful writers."""
    import jiwer

    characters = normalize(reference).replace(" ", "")
    found = jiwer.process_characters(characters, normalize(hypothesis).replace(" ", ""))
    return ErrorRate(found.substitutions + found.deletions + found.insertions, len(characters))


def word_error_rate(reference: str, hypothesis: str) -> ErrorRate:
    """Return the WER of normalized texts; words are separated by spaces."""
    import jiwer

    words = normalize(reference)
    found = jiwer.process_words(words, normalize(hypothesis))
    return ErrorRate(found.substitutions + found.deletions + found.insertions, len(words.split()))


def number_error_rate(reference: str, hypothesis: str) -> ErrorRate:
    """Return the wrong, missing and inserted numbers over the numbers of the reference.

    Numbers are compared by value and in order, in any spelling ("이백만", "200만" and "2,000,000").
    """
    import jiwer

    expected, found = numbers_of(reference), numbers_of(hypothesis)
    if not expected:  # jiwer does not accept an empty reference
        return ErrorRate(len(found), 0)
    result = jiwer.process_words(" ".join(expected), " ".join(found))
    return ErrorRate(result.substitutions + result.deletions + result.insertions, len(expected))


def character_error_rate_numbers_alike(reference: str, hypothesis: str) -> ErrorRate:
    """Return the CER after numbers are spelled in the same way, so that "세 시" for "3시" is not an error."""
    return character_error_rate(numbers_alike(reference), numbers_alike(hypothesis))


def diarization_error_rate(
    reference: Sequence[SpeakerTurn], hypothesis: Sequence[SpeakerTurn], collar: float = 0.0
) -> ErrorRate:
    """Return the DER in seconds: missed detection, false alarm and confusion over the speech of the reference.

    Labels need not match: the best mapping of speakers is used. Overlapping speech is scored.

    Args:
        reference: the true turns.
        hypothesis: the turns to score.
        collar: seconds on either side of each reference boundary that are not scored, as in NIST's md-eval, where 0.25
            is usual. (In pyannote.metrics, the argument of this name is the sum of both sides.)
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
