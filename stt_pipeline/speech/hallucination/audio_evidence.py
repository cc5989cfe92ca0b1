"""What the sound itself says about a chunk, whatever the model wrote about it. No text here.

The second witness: whether somebody spoke, by Silero's VAD and by the energy.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Samples
from stt_pipeline.speech.voice_activity import FRAME

FRAME_SECONDS = FRAME / SAMPLE_RATE

SPEECH = 0.5
"""Probability from which on a frame counts as speech: Silero's own default, by which chunks are cut."""

STRICT = 0.8
"""The stricter threshold. Of the frames of speech 88 to 95 % are over it in the samples, 60 to 95 % in real calls and
meetings, a quarter at 10 dB more pink noise than speech; of instrumental music, noise and hum none (`nonspeech.py` of
the tests)."""

_FLOOR = -120.0  # dBFS, for digital silence

# Somebody spoke where there is this much speech by either threshold, or this probability on average. Of instrumental music
# a single frame (0.03 s) passes for speech, and the average of all listed sounds is under 0.05. What people mumble in real
# meetings has 0.16 s and more, while the shortest sentence of the samples has 0.45 s by the strict threshold.
_SHORTEST_VOICE = 0.1  # seconds
_SMALLEST_SHARE = 0.1  # of a long stretch, by the normal threshold
_LOWEST_MEAN = 0.25

# 16-bit recordings end at -96 dBFS, and Silero takes speech at -75 dBFS for speech
_SILENCE = -80.0


@dataclass(frozen=True, slots=True)
class SpeechStats:
    """What the sound says about a part of a chunk.

    Attributes:
        seconds: its length.
        mean_probability: of speech.
        speech_share: of its frames, those that are speech.
        strict_share: those that are speech by the stricter threshold.
        level: RMS in dBFS.
    """

    seconds: float = 0.0
    mean_probability: float = 0.0
    speech_share: float = 0.0
    strict_share: float = 0.0
    level: float = _FLOOR

    @property
    def speech_seconds(self) -> float:
        """How long somebody speaks in it."""
        return self.seconds * self.speech_share

    @property
    def strict_seconds(self) -> float:
        """How long somebody speaks in it, by the stricter threshold."""
        return self.seconds * self.strict_share

    @property
    def nobody_spoke(self) -> bool:
        """Whether voice activity or energy say that there is no voice at all; in doubt somebody spoke."""
        return self.level < _SILENCE or (
            self.strict_seconds < _SHORTEST_VOICE
            and self.speech_seconds < max(_SHORTEST_VOICE, _SMALLEST_SHARE * self.seconds)
            and self.mean_probability < _LOWEST_MEAN
        )


@dataclass(frozen=True, slots=True)
class AudioEvidence:
    """A chunk by frames of 32 ms, from its start; the last may be filled up with silence.

    Attributes:
        probabilities: that somebody speaks, by Silero, float32 ``(frames,)``.
        levels: RMS in dBFS, float32 ``(frames,)``.
    """

    probabilities: npt.NDArray[np.float32]
    levels: npt.NDArray[np.float32]

    @classmethod
    def of(cls, samples: Samples, probabilities: npt.NDArray[np.float32]) -> "AudioEvidence":
        """Return the evidence about ``samples``; a frame without a probability counts as silence, one too many not."""
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

    def between(self, start: float, end: float) -> SpeechStats:
        """Return what is known from ``start`` to ``end``, seconds from the chunk's start; at least one frame of it."""
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
        """Return the evidence from ``start`` to ``end`` alone, in whole frames."""
        part = slice(round(start / FRAME_SECONDS), max(0, round(end / FRAME_SECONDS)))
        return AudioEvidence(self.probabilities[part], self.levels[part])

    def quietest(self, start: float, end: float) -> float:
        """Return the place for a cut: the middle of the quietest 160 ms in the middle half, seconds from the chunk's start."""
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
