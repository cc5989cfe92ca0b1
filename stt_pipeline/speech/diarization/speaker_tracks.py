"""The speech of each track of the segmentation model, with the pauses that Silero VAD finds. Voices are not known here."""

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Samples
from stt_pipeline.speech.diarization.gaussians import IntArray
from stt_pipeline.speech.diarization.segmentation_model import FRAME_CENTER, FRAME_STEP
from stt_pipeline.speech.diarization.speaker_stitching import Activities, SpeakerStitcher, frame_time
from stt_pipeline.speech.diarization.voice_activity import Region, SpeechDetector

_THRESHOLD = 0.5  # of the model's probabilities

_COVERAGE = 0.8
"""Share of a track's run that Silero VAD has to detect, for its pauses to count. The model closes pauses of a second, and
Silero misses distant speakers: it detects 94 % of the speech in the samples, but 66 % in real meetings."""


class TrackDetector:
    """Finds the regions in which exactly one track is active: they contain the voice of one speaker.

    Attributes:
        active: bool ``(frames, tracks)``; valid after :meth:`finish`, like the others.
        only_track: int8 ``(frames,)``, the track where exactly one is active; -1 for silence and overlap.
        region_tracks: int8 ``(regions,)``, the track of each region.
    """

    active: npt.NDArray[np.bool_]
    only_track: npt.NDArray[np.int8]
    region_tracks: npt.NDArray[np.int8]

    def __init__(self, activities: Activities) -> None:
        """Start at the beginning of the recording."""
        self._stitcher = SpeakerStitcher(activities)
        self._speech = SpeechDetector()

    def feed(self, block: Samples) -> None:
        """Process the next block, float32 ``(samples,)``, 16 kHz."""
        self._stitcher.feed(block)
        self._speech.feed(block)

    def finish(self) -> list[Region]:
        """Return the regions in order of time."""
        found = self._stitcher.finish() >= round(255 * _THRESHOLD)
        self.active = _speech_of_tracks(found, _is_speech(self._speech.finish(), len(found)))
        only_track = np.where(self.active.sum(axis=1) == 1, self.active.argmax(axis=1), -1)
        self.only_track = only_track.astype(np.int8)
        starts, ends = runs(self.only_track)
        is_region = self.only_track[starts] >= 0
        self.region_tracks = self.only_track[starts[is_region]]
        return [
            Region(frame_time(start), frame_time(end))
            for start, end in zip(starts[is_region].tolist(), ends[is_region].tolist(), strict=True)
        ]


def runs(values: npt.NDArray[np.generic]) -> tuple[IntArray, IntArray]:
    """Return where runs of equal values start and end."""
    if not len(values):
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    starts = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1]).astype(np.intp)
    return starts, np.append(starts[1:], len(values))


def nearest(frames: IntArray, known: IntArray) -> IntArray:
    """Return the value of ``known``, sorted and not empty, that is nearest to each of ``frames``."""
    after = np.searchsorted(known, frames).clip(0, len(known) - 1)
    before = (after - 1).clip(0)
    is_before = frames - known[before] <= np.abs(known[after] - frames)
    return known[np.where(is_before, before, after)]


def _is_speech(regions: list[Region], frames: int) -> npt.NDArray[np.bool_]:
    middles = (FRAME_CENTER + FRAME_STEP * np.arange(frames)) / SAMPLE_RATE
    starts, ends = np.array(regions).reshape(-1, 2).T
    return np.searchsorted(starts, middles, side="right") > np.searchsorted(ends, middles, side="right")


def _speech_of_tracks(
    active: npt.NDArray[np.bool_], is_speech: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return where each track speaks: without the pauses, and with all the speech, that Silero detects."""
    found = np.zeros_like(active)
    if not is_speech.any():
        return found
    for track in range(active.shape[1]):
        for start, end in zip(*runs(active[:, track]), strict=True):
            if active[start, track]:
                detected = is_speech[start:end]
                found[start:end, track] = detected if detected.mean() >= _COVERAGE else True
    known = np.flatnonzero(found.any(axis=1))
    missing = np.flatnonzero(is_speech & ~found.any(axis=1))
    found[missing, found[nearest(missing, known)].argmax(axis=1) if len(known) else 0] = True
    return found
