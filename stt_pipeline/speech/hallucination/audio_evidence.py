"""Evidence from the audio, independent of the model's text: is there speech, by Silero VAD and by the energy? No text here."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.sound import Samples
from stt_pipeline.speech.voice_activity import FRAME, FRAME_SECONDS, SPEECH

STRICT = 0.8
"""A stricter threshold. Of the frames of speech 88 to 95 % reach it in the samples, 60 to 95 % in real calls and meetings,
a quarter with pink noise 10 dB above the speech; of instrumental music, noise and hum none (`nonspeech.py` of the tests)."""

_FLOOR = -120.0  # dBFS, for digital silence

# There is speech if one of the two thresholds gives this many seconds, or the mean probability is this high. Of
# instrumental music a single frame (0.03 s) is taken for speech, and the mean of all sounds of the tests is under 0.05.
# Mumbled words in real meetings have 0.16 s and more; the shortest sentence of the samples has 0.45 s by the strict
# threshold.
_MIN_SPEECH = 0.1  # seconds
_MIN_SPEECH_SHARE = 0.1  # of a long region, by the normal threshold
_MIN_MEAN_PROBABILITY = 0.25

# 16-bit recordings end at -96 dBFS, and Silero still detects speech at -75 dBFS
_SILENCE_LEVEL = -80.0


@dataclass(frozen=True, slots=True)
class SpeechStats:
    """Speech statistics of a part of a chunk.

    Attributes:
        seconds: its length.
        mean_probability: of speech.
        speech_share: share of the frames that are speech.
        strict_share: share of the frames that are speech by the stricter threshold.
        level: RMS in dBFS.
    """

    seconds: float = 0.0
    mean_probability: float = 0.0
    speech_share: float = 0.0
    strict_share: float = 0.0
    level: float = _FLOOR

    @property
    def speech_seconds(self) -> float:
        """Seconds of speech."""
        return self.seconds * self.speech_share

    @property
    def strict_seconds(self) -> float:
        """Seconds of speech by the stricter threshold."""
        return self.seconds * self.strict_share

    @property
    def has_no_speech(self) -> bool:
        """Whether VAD or energy show no speech at all; False in unclear cases."""
        return self.level < _SILENCE_LEVEL or (
            self.strict_seconds < _MIN_SPEECH
            and self.speech_seconds < max(_MIN_SPEECH, _MIN_SPEECH_SHARE * self.seconds)
            and self.mean_probability < _MIN_MEAN_PROBABILITY
        )


@dataclass(frozen=True, slots=True)
class AudioEvidence:
    """A chunk in frames of 32 ms, from its start; the last one may be padded with silence.

    Attributes:
        probabilities: of speech, by Silero VAD, float32 ``(frames,)``.
        levels: RMS in dBFS, float32 ``(frames,)``.
    """

    probabilities: npt.NDArray[np.float32]
    levels: npt.NDArray[np.float32]

    @classmethod
    def of(cls, samples: Samples, probabilities: npt.NDArray[np.float32]) -> "AudioEvidence":
        """Return the evidence of ``samples``; frames without a probability count as silence, surplus probabilities are ignored."""
        frames = -(-len(samples) // FRAME)
        padded = np.zeros(frames * FRAME, np.float32)
        padded[: len(samples)] = samples
        blocks = padded.reshape(frames, FRAME)
        power = np.einsum("ij,ij->i", blocks, blocks) / FRAME
        known = np.zeros(frames, np.float32)
        known[: min(frames, len(probabilities))] = probabilities[:frames]
        return cls(known, _decibels(power))

    @property
    def seconds(self) -> float:
        """Length of the chunk."""
        return len(self.probabilities) * FRAME_SECONDS

    def stats(self, start: float, end: float) -> SpeechStats:
        """Return the statistics from ``start`` to ``end``, seconds from the chunk's start; of at least one frame."""
        frames = len(self.probabilities)
        if not frames:
            return SpeechStats()
        first = min(max(0, int(start / FRAME_SECONDS)), frames - 1)
        last = min(max(first + 1, round(end / FRAME_SECONDS)), frames)
        probabilities = self.probabilities[first:last]
        return SpeechStats(
            seconds=(last - first) * FRAME_SECONDS,
            mean_probability=float(probabilities.mean()),
            speech_share=float((probabilities >= SPEECH).mean()),
            strict_share=float((probabilities >= STRICT).mean()),
            level=float(_decibels(np.mean(10 ** (self.levels[first:last] / 10)))),
        )

    def part(self, start: float, end: float) -> "AudioEvidence":
        """Return the evidence from ``start`` to ``end``, in whole frames."""
        part = slice(round(start / FRAME_SECONDS), max(0, round(end / FRAME_SECONDS)))
        return AudioEvidence(self.probabilities[part], self.levels[part])

    def quietest_time(self, start: float, end: float) -> float:
        """Return where to cut: the middle of the quietest 160 ms in the middle half, in seconds from the chunk's start."""
        width = 5  # frames
        quarter = (end - start) / 4
        first = max(0, round((start + quarter) / FRAME_SECONDS))
        last = min(len(self.levels), round((end - quarter) / FRAME_SECONDS))
        if last - first <= width:
            return (start + end) / 2
        power = 10 ** (self.levels[first:last].astype(np.float64) / 10)
        sums = np.convolve(power, np.ones(width), "valid")
        return float((first + int(sums.argmin()) + width / 2) * FRAME_SECONDS)


def _decibels(power: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (_FLOOR / 10))), np.float32)
