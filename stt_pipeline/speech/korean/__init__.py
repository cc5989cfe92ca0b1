"""Korean text: morphology by kiwipiepy, and the correction of a speech model's output."""

from stt_pipeline.speech.korean.correction import correct
from stt_pipeline.speech.korean.morphology import (
    Morpheme,
    has_hangul,
    log_probability,
    morphemes,
    readings,
    split_sentences,
    tagged,
)

__all__ = [
    "Morpheme",
    "correct",
    "has_hangul",
    "log_probability",
    "morphemes",
    "readings",
    "split_sentences",
    "tagged",
]
