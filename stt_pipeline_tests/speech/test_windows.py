import itertools

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode
from stt_pipeline.speech.windows import Window, speech_windows
from stt_pipeline_tests.speech.sample_meetings import Meeting, load_meeting

NOISE = np.random.default_rng(0).normal(0, 0.1, 160_000).astype(np.float32)


@pytest.mark.parametrize(
    "samples", [np.zeros(0, np.float32), np.zeros(1, np.float32), np.zeros(160_000, np.float32), NOISE]
)
def test_where_nobody_talks_there_is_no_window(samples: np.ndarray) -> None:
    assert speech_windows(samples, 30) == []


@pytest.fixture(scope="module")
def meeting() -> Meeting:
    return load_meeting("weekly-budget.wav")


@pytest.fixture(scope="module")
def samples(meeting: Meeting) -> np.ndarray:
    return decode(meeting.path)


@pytest.mark.parametrize("longest", [5, 10, 30])
def test_windows_are_in_order_and_fit(longest: float, samples: np.ndarray) -> None:
    windows = speech_windows(samples, longest)
    assert all(0 <= window.start < window.end <= len(samples) / 16_000 for window in windows)
    assert all(window.end - window.start <= longest for window in windows)
    assert all(before.end <= after.start for before, after in itertools.pairwise(windows))
    assert len(windows) < 2 * len(samples) / 16_000 / longest + 2, "neighbours are joined"


def test_no_sentence_is_cut(meeting: Meeting, samples: np.ndarray) -> None:
    windows = speech_windows(samples, 10)
    for sentence in meeting.segments:
        assert any(
            window.start <= sentence.start + 0.1 and sentence.end - 0.1 <= window.end for window in windows
        )


def test_a_long_speech_without_a_pause_is_cut_all_the_same(samples: np.ndarray) -> None:
    windows = speech_windows(samples[: 16_000 * 20], 2)
    assert windows and max(window.end - window.start for window in windows) <= 2


def test_a_window_knows_its_samples() -> None:
    samples = np.arange(32_000, dtype=np.float32)
    assert Window(0.5, 1.0).of(samples).tolist() == samples[8000:16_000].tolist()
