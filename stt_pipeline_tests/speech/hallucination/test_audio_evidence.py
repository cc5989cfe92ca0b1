"""Evidence of the audio: speech by VAD and energy."""

import numpy as np
import pytest

from stt_pipeline.speech.hallucination import AudioEvidence
from stt_pipeline.speech.voice_activity import FRAME_SECONDS
from stt_pipeline_tests.speech.hallucination.chunks import MUSIC, QUIET, VOICE, sound


def test_levels_are_decibels_of_full_scale() -> None:
    samples = np.concatenate(
        [np.full(512, 0.1, np.float32), np.zeros(512, np.float32), np.ones(256, np.float32)]
    )
    evidence = AudioEvidence.of(samples, np.zeros(2, np.float32))
    assert evidence.levels == pytest.approx([-20, -120, -3.01], abs=0.01)
    assert evidence.probabilities.tolist() == [0, 0, 0]
    assert evidence.seconds == pytest.approx(0.096)
    assert evidence.stats(0, 0.064).level == pytest.approx(-23.01, abs=0.01)


def test_no_samples_have_no_speech() -> None:
    evidence = AudioEvidence.of(np.zeros(0, np.float32), np.zeros(0, np.float32))
    assert evidence.seconds == 0
    assert evidence.stats(0, 3).has_no_speech


@pytest.mark.parametrize(
    ("start", "end", "speech", "strict"),
    [(0, 2, 2, 2), (2, 4, 0, 0), (1, 5, 2, 1), (4, 6, 2, 0), (0, 60, 4, 2)],
)
def test_statistics_of_a_span(start: float, end: float, speech: float, strict: float) -> None:
    span = sound((2, VOICE), (2, QUIET), (2, MUSIC)).stats(start, end)
    assert span.seconds == pytest.approx(min(end, 6) - start, abs=0.07)
    assert span.speech_seconds == pytest.approx(speech, abs=0.07)
    assert span.strict_seconds == pytest.approx(strict, abs=0.07)


def test_an_empty_span_has_a_frame() -> None:
    evidence = sound((2, QUIET), (2, VOICE))
    assert evidence.stats(3, 3).mean_probability == pytest.approx(VOICE)
    assert evidence.stats(4.1, 5).mean_probability == pytest.approx(VOICE)


def test_has_no_speech() -> None:
    assert not sound((0.3, QUIET), (0.2, VOICE), (0.3, QUIET)).stats(0, 0.8).has_no_speech, '"네."'
    assert not sound((20, QUIET), (0.2, VOICE), (10, QUIET)).stats(0, 30).has_no_speech, (
        "one word in half a minute"
    )
    assert not sound((0.4, QUIET), (0.2, MUSIC)).stats(0, 0.6).has_no_speech, "a mumbled word"
    assert sound((5, QUIET)).stats(0, 5).has_no_speech
    assert sound((0.2, QUIET), (0.03, MUSIC), (0.2, QUIET)).stats(0, 0.4).has_no_speech, "a drum"
    assert sound((10, QUIET), (0.5, MUSIC), (5, QUIET)).stats(0, 15).has_no_speech, (
        "music with half a second like speech"
    )
    assert sound((2, VOICE), level=-95).stats(0, 2).has_no_speech, "speech in the last bit"


def test_the_quietest_time_is_in_the_middle() -> None:
    evidence = sound((10, VOICE))
    for at in (0.5, 4.0, 6.5, 9.5):
        evidence.levels[round(at / FRAME_SECONDS) :][:8] = -60
        evidence.levels[round(9.5 / FRAME_SECONDS) :] = -90
    assert 4.0 <= evidence.quietest_time(0, 10) <= 4.3
    assert 6.5 <= evidence.quietest_time(5, 10) <= 6.8
    assert evidence.quietest_time(3, 3.3) == pytest.approx(3.15)
