"""Joins overlapping windows of the segmentation model to tracks: local speakers followed through a recording.

A track is one column of the result. After a speaker falls silent, the same track may continue with another speaker;
`embedded` compares voices to find who is who over the whole recording.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Samples
from stt_pipeline.speech.diarization.segmentation_model import FRAME_CENTER, FRAME_STEP, MAX_LOCAL_SPEAKERS

Activities = Callable[[Samples], npt.NDArray[np.float32]]
"""From the samples of windows to the speech probability of each local speaker in each frame (`segmentation_model`)."""

_WINDOW = 10 * SAMPLE_RATE
_HOP = 5 * SAMPLE_RATE // FRAME_STEP * FRAME_STEP
"""Samples, whole frames: each moment is in two windows. DER on eight excerpts of real meetings with windows and hops of 10
and 5 s, 10 and 2.5, 10 and 10, 15 and 10, 8 and 4: 36.8, 36.4, 38.3, 40.1 and 39.5 %."""

_TOGETHER = 2
"""Windows in a call of the model, which takes 10 % less time than two calls. Four gain 5 % more, and need 40 MB more."""


def frame_time(frame: float) -> float:
    """Return the start time of the model's frame ``frame``, in seconds."""
    return max(0.0, (FRAME_CENTER + (frame - 0.5) * FRAME_STEP) / SAMPLE_RATE)


class SpeakerStitcher:
    """Joins windows to tracks while a recording is fed block by block."""

    def __init__(self, activities: Activities) -> None:
        """Start at the beginning of the recording."""
        self._activities = activities
        self._samples = np.zeros(0, np.float32)  # from the start of the next window, as the sums and counts
        self._sums = np.zeros((0, MAX_LOCAL_SPEAKERS), np.float32)
        self._counts = np.zeros((0, 1), np.float32)
        self._done: list[npt.NDArray[np.uint8]] = []

    def feed(self, block: Samples) -> None:
        """Process the next block, float32 ``(samples,)``, 16 kHz."""
        self._samples = np.concatenate([self._samples, block])
        # more than a window is kept, so that the last one is never short
        while len(self._samples) >= _WINDOW + _TOGETHER * _HOP:
            self._process_some(_TOGETHER)

    def finish(self) -> npt.NDArray[np.uint8]:
        """Return the speech probability of each track, uint8 ``(frames, 3)``, scaled so that 255 is 1."""
        while len(self._samples) >= _WINDOW + _HOP:
            self._process_some(1)
        if len(self._samples) > _WINDOW:
            self._process(-(-(len(self._samples) - _WINDOW) // FRAME_STEP) * FRAME_STEP)
        if len(self._samples):
            self._process(len(self._samples))
        return np.concatenate([np.zeros((0, MAX_LOCAL_SPEAKERS), np.uint8), *self._done])

    def _process_some(self, windows: int) -> None:
        """Process this many windows, each a hop later."""
        starts = range(0, windows * _HOP, _HOP)
        for found in self._activities(np.stack([self._samples[start : start + _WINDOW] for start in starts])):
            self._add(found, _HOP)

    def _process(self, until: int) -> None:
        """Process the next window, and drop the samples and frames before sample ``until``."""
        self._add(self._activities(self._samples[None, :_WINDOW])[0], until)

    def _add(self, found: npt.NDArray[np.float32], until: int) -> None:
        window = _align_columns(self._means(), found)
        longer = max(len(window) - len(self._sums), 0)
        self._sums = np.pad(self._sums, ((0, longer), (0, 0)))
        self._counts = np.pad(self._counts, ((0, longer), (0, 0)))
        self._sums[: len(window)] += window
        self._counts[: len(window)] += 1
        frames = min(until // FRAME_STEP, len(self._sums))
        self._done.append(np.rint(255 * self._means()[:frames]).astype(np.uint8))
        self._sums, self._counts = self._sums[frames:], self._counts[frames:]
        self._samples = self._samples[until:]

    def _means(self) -> npt.NDArray[np.float32]:
        return np.asarray(self._sums / self._counts, dtype=np.float32)


def _align_columns(
    known: npt.NDArray[np.float32], window: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return ``window`` with its columns in the order that matches the columns of ``known`` best."""
    from scipy.optimize import linear_sum_assignment

    common = min(len(known), len(window))
    differences = np.square(known[:common, :, None] - window[:common, None, :]).sum(axis=0)
    return window[:, linear_sum_assignment(differences)[1]]
