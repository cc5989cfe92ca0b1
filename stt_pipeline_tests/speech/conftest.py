"""The demo model's engine, and audio in Korean and English, for all tests of transcription."""

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.models import load_model
from stt_pipeline_tests.speech.engine.sounds import RATE, english_speech
from stt_pipeline_tests.speech.sample_meetings import load_meeting


@pytest.fixture(scope="session")
def demo() -> Engine:
    """The engine with the demo model, in model batches of 8."""
    return Engine(load_model("demo", "cpu"), batch_size=8)


@pytest.fixture(scope="session")
def beginning() -> np.ndarray:
    """The first 15 s of a Korean sample."""
    samples = decode(load_meeting("weekly-budget.wav").path)[: 15 * RATE]
    samples.flags.writeable = False  # the tests share it
    return samples


@pytest.fixture(scope="session")
def english() -> np.ndarray:
    """Fourteen seconds of English in a voice of the demo model's training."""
    return english_speech()
