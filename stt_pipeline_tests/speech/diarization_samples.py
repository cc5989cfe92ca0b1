"""Recordings, a stand-in for the segmentation model, and small functions for the tests of diarization."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE, decode
from stt_pipeline.speech.diarization.segmentation_model import FRAME_CENTER, FRAME_STEP, MAX_LOCAL_SPEAKERS
from stt_pipeline.speech.evaluation import read_rttm
from stt_pipeline.speech.transcript import SpeakerTurn
from stt_pipeline.speech.voice_activity import FRAME, VoiceActivity
from stt_pipeline_tests.conftest import SAMPLES

Samples = npt.NDArray[np.float32]

REFERENCES = sorted((SAMPLES / "reference").glob("*.rttm"))
TWO_SPEAKERS = SAMPLES / "reference" / "weekly-budget.rttm"


def sample_of(reference: Path) -> Path:
    return next(path for path in SAMPLES.iterdir() if path.stem == reference.stem)


def two_speakers(seconds: int = 40) -> Samples:
    """Return the beginning of a sample with two speakers."""
    return decode(sample_of(TWO_SPEAKERS))[: seconds * SAMPLE_RATE]


def two_channels(bleed: float, gain: float) -> Samples:
    """Return the sample of two speakers with one channel each, faint noise, and the other channel at ``bleed`` dB."""
    mono = decode(sample_of(TWO_SPEAKERS))
    channels = np.zeros((len(mono), 2), np.float32)
    reference = read_rttm(TWO_SPEAKERS)
    second = next(turn.speaker for turn in reference if turn.speaker != reference[0].speaker)
    is_second = np.zeros(len(mono), dtype=bool)
    for turn in reference:
        is_second[int(turn.start * SAMPLE_RATE) : int(turn.end * SAMPLE_RATE)] = turn.speaker == second
    channels[:, 0], channels[:, 1] = np.where(is_second, 0, mono), np.where(is_second, mono, 0)
    echo = np.roll(channels[:, ::-1], 80, axis=0) * 10 ** (bleed / 20)
    noise = np.random.default_rng(0).standard_normal(channels.shape) * 1e-4
    mixed: Samples = ((channels + echo + noise) * [1, gain]).astype(np.float32)
    return mixed


def one_speaker_activities(windows: Samples) -> npt.NDArray[np.float32]:
    """Stand in for the segmentation model: all speech, by Silero's voice activity, comes from the first speaker."""
    return np.stack([_of_one_speaker(window) for window in windows])


def _of_one_speaker(samples: Samples) -> npt.NDArray[np.float32]:
    activity = VoiceActivity()
    probabilities = np.concatenate([activity.feed(samples), activity.flush()])
    frames = np.arange(FRAME_CENTER, len(samples) - FRAME_CENTER, FRAME_STEP)
    found = np.zeros((len(frames), MAX_LOCAL_SPEAKERS), np.float32)
    found[:, 0] = probabilities[frames // FRAME]
    return found


def speakers_of(turns: tuple[SpeakerTurn, ...]) -> list[str]:
    """Return the labels in order of appearance."""
    return list(dict.fromkeys(turn.speaker for turn in turns))
