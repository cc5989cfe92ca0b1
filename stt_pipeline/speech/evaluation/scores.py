"""The figures of recordings and of all together, as counts that add up, in a pandas table."""

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
"""Seconds on either side of a boundary that the second DER forgives, as NIST's evaluations do."""

RATES: Final = ("cer", "cer_numbers_alike", "wer", "numbers", "der", "der_collar")
"""The figures of a recording that are errors over a length, in this order."""


@dataclass(frozen=True, slots=True)
class Score:
    """One recording against its reference. A rate is None where the reference does not know.

    Attributes:
        rates: by the names in `RATES`.
        speakers: how many were found, and how many there are; None where the reference does not know.
        audio_seconds: length of the recording, 0 where nobody knows.
        work_seconds: what it took; None where it was done elsewhere.
        error: why the result, or a part of it, is missing; the rates are then those of a result without it.
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
    """Return the error rates of ``result``, by the names in `RATES`; what it does not know counts as nothing found."""
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
    """Return how many speakers were found, and how many there are; None where the reference does not know."""
    if reference.turns is None:
        return None
    found, expected = ({turn.speaker for turn in turns or ()} for turns in (result.turns, reference.turns))
    return len(found), len(expected)


def as_table(scores: Sequence[Score]) -> "pd.DataFrame":
    """Return a row for each recording, the worst first, with the counts and the rate of each figure.

    Worst is the highest CER; where that is not known, the highest DER. A rate that is not known is NaN.
    """
    import pandas as pd

    table = pd.DataFrame([_row(score) for score in scores], columns=list(_row(_EMPTY)))
    figures = table.columns.difference(["name", "language", "error"])
    table[figures] = table[figures].astype(float)  # None becomes NaN, in columns of nothing else too
    for name in RATES:
        # an empty reference is all right or all wrong, as in ErrorRate.rate
        errors, length = table[f"{name}_errors"], table[f"{name}_length"]
        table[name] = (errors / length).where(length > 0, (errors > 0).astype(float)).where(errors.notna())
    table["rtf"] = table["work_seconds"] / table["audio_seconds"].where(table["audio_seconds"] > 0)
    return table.sort_values(
        ["cer", "der", "name"], ascending=[False, False, True], na_position="last", ignore_index=True
    )


def totals(table: "pd.DataFrame") -> dict[str, Any]:
    """Return the figures of all recordings together: rates are sums of errors over sums of lengths, None if unknown."""
    whole: dict[str, Any] = {
        "files": len(table),
        "failed": int((table["error"] != "").sum()),
        "audio_seconds": round(float(table["audio_seconds"].sum()), 1),
    }
    for name in RATES:
        known = table[table[f"{name}_errors"].notna()]
        rate = ErrorRate(float(known[f"{name}_errors"].sum()), float(known[f"{name}_length"].sum()))
        whole[name] = round(rate.rate, 4) if len(known) else None
    timed = table[table["work_seconds"].notna() & (table["audio_seconds"] > 0)]
    seconds = float(timed["audio_seconds"].sum())
    whole["rtf"] = round(float(timed["work_seconds"].sum()) / seconds, 4) if seconds else None
    counted = table[table["speakers_expected"].notna()]
    whole["speakers_correct"] = int((counted["speakers_found"] == counted["speakers_expected"]).sum())
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
