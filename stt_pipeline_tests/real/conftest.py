"""Whisper base, and sentences that the cases consist of."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from rapidfuzz import fuzz

from stt_pipeline.audio.decode import decode
from stt_pipeline.audio.sound import SoundFile, SoundInMemory
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.evaluation import character_error_rate, normalize
from stt_pipeline.speech.models import load_model
from stt_pipeline.speech.postprocess import WithPostprocessing
from stt_pipeline.speech.recordings import TranscriptionOptions
from stt_pipeline.speech.transcriber import Transcriber, transcribe_one
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline_tests.real_speech import SPEECH_CASES, WHISPER_BASE

RATE = 16_000

ENGLISH = (
    "And so my fellow Americans, ask not what your country can do for you, "
    "ask what you can do for your country."
)
GERMAN = (
    "Jedem, der diese Software und die dazugehörigen Dokumentationsdateien erhält, wird hiermit unentgeltlich "
    "die Genehmigung erteilt, mit der Software uneingeschränkt zu verfahren."
)
PERMISSION = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software "
    "and associated documentation files to deal in the software without restriction"
)

Transcribe = Callable[..., Transcript]
"""Transcribes a case by its file name, or samples; options by name."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Whisper base."""
    return Engine(load_model(str(WHISPER_BASE), "cpu"))


@pytest.fixture(scope="module")
def transcribe(engine: Engine) -> Transcribe:
    """The engine with post-processing, as batches and commands use it."""
    transcriber: Transcriber = WithPostprocessing(engine)

    def transcribe(source: str | np.ndarray, **options: object) -> Transcript:
        sound = SoundFile(SPEECH_CASES / source) if isinstance(source, str) else SoundInMemory(source)
        return transcribe_one(transcriber, sound, TranscriptionOptions(**options))  # type: ignore[arg-type]

    return transcribe


@cache
def samples(path: Path) -> np.ndarray:
    """Return the samples of a file."""
    return decode(path)


def english() -> np.ndarray:
    """Return the English sentence, 11 s."""
    return samples(SPEECH_CASES / "english_then_german.flac")[: 11 * RATE]


def german() -> np.ndarray:
    """Return the German sentence, 11 s, with a short pause before it."""
    return samples(SPEECH_CASES / "english_then_german.flac")[11 * RATE :]


def cer(reference: str, text: str) -> float:
    """Return the CER: what is missing counts, and what was not said."""
    return character_error_rate(reference, text).rate


def text_like(transcript: Transcript, sentence: str, *others: str) -> str:
    """Return the text of the segments that are more like ``sentence`` than like the ``others``, for two who talk at once."""

    def likeness(text: str, other: str) -> float:
        return fuzz.partial_ratio(normalize(text), normalize(other))

    return " ".join(
        segment.text
        for segment in transcript.segments
        if all(likeness(segment.text, sentence) > likeness(segment.text, other) for other in others)
    )
