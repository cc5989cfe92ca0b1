"""Scores of recordings against their references, and totals over all of them, in a pandas table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stt_pipeline.speech.evaluation.rates import (
    ErrorRate,
    character_error_rate,
    character_error_rate_numbers_alike,
    diarization_error_rate,
    number_error_rate,
    word_error_rate,
)
from stt_pipeline.speech.evaluation.references import Annotation

if TYPE_CHECKING:
    import pandas as pd

COLLAR: Final = 0.25
"""Seconds on either side of a boundary that `der_collar` does not score, as in NIST's evaluations."""

RATES: Final = ("cer", "cer_numbers_alike", "wer", "numbers", "der", "der_collar")
"""The names of the error rates of a recording, in the order of columns."""


@dataclass(frozen=True, slots=True)
class Score:
    """The scores of one recording. A rate is None where the reference has no text or no turns.

    Attributes:
        rates: by the names in `RATES`.
        speakers: number found and number expected; None where the reference has no turns.
        audio_seconds: length of the recording, 0 if unknown.
        work_seconds: processing time; None if unknown.
        error: why the result, or a part of it, is missing; the rates then treat the missing part as empty.
    """

    name: str
    rates: Mapping[str, ErrorRate | None]
    speakers: tuple[int, int] | None
    audio_seconds: float = 0.0
    work_seconds: float | None = None
    language: str = ""
    quality: float | None = None
    error: str = ""


def rates_of(reference: Annotation, result: Annotation) -> dict[str, ErrorRate | None]:
    """Return the error rates of ``result`` by the names in `RATES`; missing text or turns are scored as empty."""
    rates: dict[str, ErrorRate | None] = dict.fromkeys(RATES)
    if reference.text is not None:
        texts = reference.text, result.text or ""
        rates |= {
            "cer": character_error_rate(*texts),
            "cer_numbers_alike": character_error_rate_numbers_alike(*texts),
            "wer": word_error_rate(*texts),
            "numbers": number_error_rate(*texts),
        }
    if reference.turns is not None:
        turns = reference.turns, result.turns or ()
        rates |= {
            "der": diarization_error_rate(*turns),
            "der_collar": diarization_error_rate(*turns, collar=COLLAR),
        }
    return rates


def speakers_of(reference: Annotation, result: Annotation) -> tuple[int, int] | None:
    """Return the number of speakers found and expected; None where the reference has no turns."""
    if reference.turns is None:
        return None
    found, expected = ({turn.speaker for turn in turns or ()} for turns in (result.turns, reference.turns))
    return len(found), len(expected)


def as_table(scores: Sequence[Score]) -> "pd.DataFrame":
    """Return one row per recording, the worst first, with the counts and the value of each rate.

    Rows are sorted by CER, then by DER. An unknown rate is NaN.
    """
    import pandas as pd

    table = pd.DataFrame([_row(score) for score in scores], columns=list(_row(_EMPTY)))
    figures = table.columns.difference(["name", "language", "error"])
    table[figures] = table[figures].astype(float)  # None becomes NaN, also in columns with nothing else
    for name in RATES:
        # an empty reference gives 0 or 1, as in ErrorRate.rate
        errors, length = table[f"{name}_errors"], table[f"{name}_length"]
        table[name] = (errors / length).where(length > 0, (errors > 0).astype(float)).where(errors.notna())
    table["rtf"] = table["work_seconds"] / table["audio_seconds"].where(table["audio_seconds"] > 0)
    return table.sort_values(
        ["cer", "der", "name"], ascending=[False, False, True], na_position="last", ignore_index=True
    )


def total_rate(scores: Sequence[Score], name: str) -> ErrorRate:
    """Return one rate over all recordings: the sum of errors over the sum of lengths. Unknown rates are skipped."""
    return sum((rate for score in scores if (rate := score.rates[name])), ErrorRate())


def totals(scores: Sequence[Score]) -> dict[str, Any]:
    """Return the totals of all recordings, by name and rounded. A rate that no recording has is None."""
    whole: dict[str, Any] = {
        "files": len(scores),
        "failed": sum(score.error != "" for score in scores),
        "audio_seconds": round(sum(score.audio_seconds for score in scores), 1),
    }
    for name in RATES:
        is_known = any(score.rates[name] for score in scores)
        whole[name] = round(total_rate(scores, name).rate, 4) if is_known else None
    timed = [score for score in scores if score.work_seconds is not None and score.audio_seconds > 0]
    seconds = sum(score.audio_seconds for score in timed)
    whole["rtf"] = round(sum(score.work_seconds or 0.0 for score in timed) / seconds, 4) if seconds else None
    counted = [score.speakers for score in scores if score.speakers]
    whole["speakers_correct"] = sum(found == expected for found, expected in counted)
    whole["speakers_scored"] = len(counted)
    return whole


def _row(score: Score) -> dict[str, Any]:
    found, expected = score.speakers or (None, None)
    row: dict[str, Any] = {
        "name": score.name,
        "language": score.language,
        "audio_seconds": score.audio_seconds,
        "work_seconds": score.work_seconds,
        "quality": score.quality,
        "speakers_found": found,
        "speakers_expected": expected,
        "error": score.error,
    }
    for name in RATES:
        rate = score.rates[name]
        row[f"{name}_errors"] = rate.errors if rate else None
        row[f"{name}_length"] = rate.length if rate else None
    return row


_EMPTY: Final = Score("", dict.fromkeys(RATES), None)
