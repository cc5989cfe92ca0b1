"""Evaluation against references: error rates, reference files, and the scores of many recordings."""

from stt_pipeline.speech.evaluation.rates import (
    ErrorRate,
    character_error_rate,
    character_error_rate_numbers_alike,
    diarization_error_rate,
    normalize,
    number_error_rate,
    word_error_rate,
)
from stt_pipeline.speech.evaluation.rttm import read_rttm, write_rttm

__all__ = [
    "ErrorRate",
    "character_error_rate",
    "character_error_rate_numbers_alike",
    "diarization_error_rate",
    "normalize",
    "number_error_rate",
    "read_rttm",
    "word_error_rate",
    "write_rttm",
]
