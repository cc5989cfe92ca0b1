"""Recordings with a speaker on each channel: each channel has the text that it has alone."""

from collections.abc import Iterable

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode
from stt_pipeline.audio.sound import SoundInMemory
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.engine.recording_cutter import RecordingCutter
from stt_pipeline.speech.evaluation import character_error_rate
from stt_pipeline.speech.recordings import TranscriptionOptions
from stt_pipeline.speech.transcript import Segment, Transcript, Word
from stt_pipeline_tests.conftest import SAMPLES
from stt_pipeline_tests.speech.diarization_samples import two_channels
from stt_pipeline_tests.speech.engine.sounds import KO, RATE, check, silence, transcribe


@pytest.fixture(scope="module")
def one(beginning: np.ndarray) -> np.ndarray:
    return beginning


@pytest.fixture(scope="module")
def other() -> np.ndarray:
    return decode(SAMPLES / "year-end.mp3")[RATE : 16 * RATE]


@pytest.fixture(scope="module")
def alone(demo: Engine, one: np.ndarray, other: np.ndarray) -> list[Transcript]:
    return [transcribe(demo, samples, KO) for samples in (one, other)]


def words_of(segments: Iterable[Segment]) -> list[Word]:
    return [word for segment in segments for word in segment.words]


def channel_of(transcript: Transcript, channel: int) -> list[Segment]:
    return [segment for segment in transcript.segments if segment.channel == channel]


def test_two_who_talk_at_once(
    demo: Engine, one: np.ndarray, other: np.ndarray, alone: list[Transcript]
) -> None:
    transcript = transcribe(demo, np.stack([one, other], axis=1), KO)
    check(transcript, 15)
    assert transcript.channels == (0, 1)
    for channel in (0, 1):
        assert words_of(channel_of(transcript, channel)) == words_of(alone[channel].segments)
    assert transcript.speech_seconds == pytest.approx(sum(each.speech_seconds for each in alone), abs=0.01)


def test_a_quiet_side_is_not_lost(demo: Engine, one: np.ndarray, other: np.ndarray) -> None:
    quiet = other * np.float32(10 ** (-30 / 20))
    transcript = transcribe(demo, np.stack([one, quiet], axis=1), KO)
    check(transcript, 15)
    assert words_of(channel_of(transcript, 1)) == words_of(transcribe(demo, quiet, KO).segments) != []


@pytest.mark.parametrize("gain", [1.0, 0.05])
def test_dual_mono_has_the_text_once(
    gain: float, demo: Engine, one: np.ndarray, alone: list[Transcript]
) -> None:
    transcript = transcribe(demo, np.stack([one, one * np.float32(gain)], axis=1), KO)
    check(transcript, 15)
    assert transcript.channels == ()
    assert character_error_rate(alone[0].text, transcript.text).rate <= 0.05


def test_a_silent_channel_changes_nothing(demo: Engine, one: np.ndarray, alone: list[Transcript]) -> None:
    transcript = transcribe(demo, np.stack([2 * one, 0 * one], axis=1), KO)  # the mix halves it
    assert transcript.segments == alone[0].segments


@pytest.mark.slow
@pytest.mark.parametrize("bleed", [-10, -20, -30])
def test_what_both_microphones_pick_up_has_one_text(bleed: float, demo: Engine) -> None:
    clean = two_channels(-90, 1.0)[: 30 * RATE]
    expected = transcribe(demo, clean.sum(axis=1), KO)
    transcript = transcribe(demo, two_channels(bleed, 1.0)[: 30 * RATE], KO)
    check(transcript, 30)
    assert transcript.channels == (() if bleed == -10 else (0, 1))
    assert character_error_rate(expected.text, transcript.text).rate <= 0.1


@pytest.mark.slow
def test_four_channels(demo: Engine, one: np.ndarray, other: np.ndarray, alone: list[Transcript]) -> None:
    """The third one is silent."""
    samples = np.zeros((30 * RATE, 4), np.float32)
    samples[: 15 * RATE, 0], samples[: 15 * RATE, 1], samples[15 * RATE :, 3] = one, other, one
    transcript = transcribe(demo, samples, KO)
    check(transcript, 30)
    assert transcript.channels == (0, 1, 3)
    for channel, expected in ((0, alone[0]), (1, alone[1]), (3, alone[0])):
        text = " ".join(segment.text for segment in channel_of(transcript, channel))
        assert character_error_rate(expected.text, text).rate <= 0.05


@pytest.mark.slow
def test_all_channels_vote_on_the_language(
    demo: Engine, one: np.ndarray, other: np.ndarray, english: np.ndarray
) -> None:
    korean = np.concatenate([one, other])
    quiet = np.pad(english, (0, len(korean) - len(english)))
    call = np.stack([quiet, korean], axis=1)
    transcript = transcribe(demo, call)
    check(transcript, len(korean) / RATE)
    assert transcript.language == "ko"
    assert {segment.language for segment in transcript.segments} == {"ko"}
    each = transcribe(demo, call, TranscriptionOptions(multilingual=True))
    assert {(segment.channel, segment.language) for segment in each.segments} == {(0, "en"), (1, "ko")}


def test_chunks_of_channels(one: np.ndarray, other: np.ndarray) -> None:
    cutter = RecordingCutter(8.0)
    chunks = list(cutter.cut(SoundInMemory(np.stack([one, other], axis=1))))
    assert cutter.seconds == 15
    assert len({chunk.index for chunk in chunks}) == len(chunks)
    assert {chunk.channel for chunk in chunks} == {0, 1}
    assert chunks[0].part(0.0, 1.0).channel == chunks[0].channel
    for channel, samples in enumerate((one, other)):
        of_mono = list(RecordingCutter(8.0).cut(SoundInMemory(samples)))
        assert {chunk.channel for chunk in of_mono} == {None}
        own = [chunk for chunk in chunks if chunk.channel == channel]
        assert [chunk.pieces for chunk in own] == [chunk.pieces for chunk in of_mono]
        assert all(np.array_equal(a.samples, b.samples) for a, b in zip(own, of_mono, strict=True))


def test_silence_on_two_channels(demo: Engine) -> None:
    transcript = transcribe(demo, np.stack([silence(5), silence(5)], axis=1), KO)
    check(transcript, 5)
    assert transcript.segments == ()
