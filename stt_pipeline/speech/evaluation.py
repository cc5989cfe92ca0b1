"""How good a result is: error rates against a reference, and RTTM, the file format of speaker references.

All rates are fractions, not percent, and carry their counts, so that the rate of a corpus is the sum over its files.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stt_pipeline.errors import InvalidRequestError
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


def read_rttm(path: Path) -> tuple[SpeakerTurn, ...]:
    """Return the turns of an RTTM file in order of time; lines of other types than SPEAKER are skipped.

    The format is NIST's (Rich Transcription 2009 evaluation plan, appendix A): type, file, channel, start, duration,
    two unused fields, speaker.

    Raises:
        InvalidRequestError: a SPEAKER line cannot be read.
    """
    turns = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.startswith("SPEAKER"):
            continue
        try:
            _, _, _, start, duration, _, _, speaker = line.split()[:8]
            turns.append(SpeakerTurn(float(start), float(start) + float(duration), speaker))
        except ValueError as error:
            raise InvalidRequestError(
                f"{path}, line {number}, is not RTTM: expected 'SPEAKER file channel start duration <NA> <NA> speaker', "
                f"found {line!r}."
            ) from error
    return tuple(sorted(turns, key=lambda turn: (turn.start, turn.end)))


def write_rttm(turns: Iterable[SpeakerTurn], uri: str) -> str:
    """Return turns as the text of an RTTM file about the recording ``uri``; :func:`read_rttm` is the way back.

    Fields are separated by spaces, so spaces in names become underscores.
    """
    name = _field(uri)
    return "".join(
        f"SPEAKER {name} 1 {turn.start:.3f} {turn.end - turn.start:.3f} <NA> <NA> {_field(turn.speaker)} <NA> <NA>\n"
        for turn in turns
    )


def _field(name: str) -> str:
    return "_".join(name.split()) or "<NA>"


def _annotation(turns: Sequence[SpeakerTurn]) -> "Annotation":
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    for track, turn in enumerate(turns):
        annotation[Segment(turn.start, turn.end), track] = turn.speaker
    return annotation
