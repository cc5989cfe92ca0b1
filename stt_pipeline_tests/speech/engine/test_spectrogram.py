"""The spectrogram is equal to faster-whisper's for any audio."""

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode
from stt_pipeline.speech.engine.spectrogram import Spectrogram
from stt_pipeline_tests.conftest import SAMPLES

NOISE = np.random.default_rng(0).normal(0, 0.3, 33_333).astype(np.float32)


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize(
    "samples",
    [
        decode(SAMPLES / "weekly-budget.wav")[: 20 * 16_000 + 77],
        NOISE,
        NOISE[:512],
        np.zeros(16_000, np.float32),
        NOISE * 8,
    ],
    ids=["speech", "noise", "32 ms", "silence", "too loud"],
)
def test_it_equals_the_librarys(samples: np.ndarray, bands: int) -> None:
    from faster_whisper.feature_extractor import FeatureExtractor

    extractor = FeatureExtractor(feature_size=bands)
    expected = extractor(samples)[..., :-1]
    found = Spectrogram(extractor)(samples)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.allclose(found, expected, atol=1e-4)
