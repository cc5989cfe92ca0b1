"""The diarizer that hears people talk at once: whisperx's segmentation model says when, voices say who over the whole.

The model tells up to three people apart within some seconds (`tracks`). A person in the tenth minute is recognised in the
second hour by voice, as in `embedded`; what the model heard together or apart near by counts with it.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.sound import Samples, Sound
from stt_pipeline.speech.diarization.clustering import PART, Part, cluster
from stt_pipeline.speech.diarization.diarizer import ANY_NUMBER, SpeakerCount, in_order
from stt_pipeline.speech.diarization.features import FRAME_RATE
from stt_pipeline.speech.diarization.gaussians import Gaussians, IntArray
from stt_pipeline.speech.diarization.resegmentation import resegment
from stt_pipeline.speech.diarization.segmentation_model import SegmentationModel
from stt_pipeline.speech.diarization.speaker_stitching import Activities, Tracks, frame_time
from stt_pipeline.speech.diarization.speech_features import SpokenFeatures
from stt_pipeline.speech.diarization.voice_activity import Region
from stt_pipeline.speech.transcript import SpeakerTurn

_THRESHOLD = 0.5
_UNIT, _SHORTEST_UNIT = (
    2.0,
    0.3,
)  # seconds; shorter ones than in `embedded`, since people interrupt each other
_NEAR = 15.0
"""Seconds within which one track is one person, most likely, and two tracks are two: less than the model's window."""

_LEAST_SHARE = 0.02
"""As in `embedded`, with a lower share: the model has heard that it is somebody else."""
_NOBODY = 255


class SegmentationDiarizer:
    """Finds speakers, and overlaps of two or three of them, with the model in whisperx's package: no token, no network.

    Time grows linearly with the length of the recording (about 5 % of it on one CPU core); memory hardly grows.
    """

    name = "segmentation"

    def __init__(self, activities: Activities | None = None) -> None:
        """Load the model.

        Args:
            activities: says who talks in a window, in place of whisperx's model.

        Raises:
            ConfigurationError: the whisperx extra is not installed.
        """
        self._activities = activities or SegmentationModel().activities

    def diarize(self, sound: Sound, bounds: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        """See :meth:`Diarizer.diarize`; turns may overlap."""
        listener = _Alone(Tracks(self._activities))
        with SpokenFeatures(sound, listener) as features:
            if not len(features):
                return ()
            units = _Units(features, listener.tracks_alone[features.kept])
            labels, voices = cluster(units.parts(), bounds.min_speakers, bounds.max_speakers)
            speakers = resegment(
                features,
                voices,
                min_speakers=bounds.min_speakers,
                least_share=_LEAST_SHARE,
                allowed=units.voices_nearby(labels, len(voices)),
            )
            return in_order(_turns(listener, features.bounds, speakers))


class _Alone:
    """Finds the stretches in which a single track is active: there the voice is that of one person."""

    def __init__(self, tracks: Tracks) -> None:
        self._tracks = tracks

    def feed(self, block: Samples) -> None:
        self._tracks.feed(block)

    def rest(self) -> list[Region]:
        self.active = self._tracks.rest() >= round(255 * _THRESHOLD)  # bool [frames, tracks]
        self.alone = np.where(self.active.sum(axis=1) == 1, self.active.argmax(axis=1), -1).astype(np.int8)
        starts, ends = _runs(self.alone)
        spoken = self.alone[starts] >= 0
        self.tracks_alone = self.alone[starts[spoken]]  # int8 [stretches]
        return [
            Region(frame_time(start), frame_time(end))
            for start, end in zip(starts[spoken].tolist(), ends[spoken].tolist(), strict=True)
        ]


class _Units:
    """Some seconds each of one track alone: what is clustered by voice."""

    def __init__(self, features: SpokenFeatures, tracks: npt.NDArray[np.int8]) -> None:
        """Cut the stretches, each of one of ``tracks``, evenly into units; those under half a second say too little."""
        self._features = features
        self._tracks = tracks
        self._times = features.bounds.mean(axis=1) / FRAME_RATE  # of the stretches' middles, in seconds
        too_short = min(_SHORTEST_UNIT * FRAME_RATE, features.lengths.max())
        firsts = np.cumsum(features.lengths) - features.lengths
        units = [
            (stretch, first + length * piece // pieces, first + length * (piece + 1) // pieces)
            for stretch, (first, length) in enumerate(
                zip(firsts.tolist(), features.lengths.tolist(), strict=True)
            )
            if length >= too_short
            for pieces in [max(1, round(length / FRAME_RATE / _UNIT))]
            for piece in range(pieces)
        ]
        self._units = np.array(units, dtype=np.intp)  # [units, (stretch, first frame, end frame)]

    def parts(self) -> Iterator[Part]:
        """Yield the units' statistics, with what the tracks say of them."""
        for start in range(0, len(self._units), PART):
            units = self._units[start : start + PART]
            sets = [
                Gaussians.of(self._features.read(first, end), np.zeros(end - first, dtype=np.intp))
                for _, first, end in units.tolist()
            ]
            times, tracks = self._times[units[:, 0]], self._tracks[units[:, 0]]
            near = np.abs(times[:, None] - times) < _NEAR
            same = np.where(tracks[:, None] == tracks, 1.0, -1.0)
            yield Part(Gaussians.concatenated(sets), np.where(near, same, 0.0))

    def voices_nearby(self, labels: IntArray, voices: int) -> npt.NDArray[np.bool_]:
        """Return which voices each stretch's track has near by, bool ``(stretches, voices)``."""
        found = np.zeros((len(self._times), voices), dtype=np.bool_)
        for track in np.unique(self._tracks):
            of_track = self._tracks[self._units[:, 0]] == track
            times, track_labels = self._times[self._units[of_track, 0]], labels[of_track]
            for stretch in np.flatnonzero(self._tracks == track).tolist():
                time = self._times[stretch]
                first, end = np.searchsorted(times, [time - _NEAR, time + _NEAR])
                found[stretch, track_labels[first:end]] = True
        return found


def _turns(listener: _Alone, bounds: IntArray, speakers: npt.NDArray[np.uint8]) -> Iterator[SpeakerTurn]:
    """Yield each speaker's turns: where tracks overlap, each is who it was last or next when it was alone."""
    who = np.full(int(bounds[-1, 1]) + 1, _NOBODY, dtype=np.uint8)  # of each feature frame
    done = 0
    for start, end in bounds.tolist():
        who[start:end] = speakers[done : done + end - start]
        done += end - start
    active = listener.active
    by_track = np.full(active.shape, _NOBODY, dtype=np.uint8)
    for track in range(active.shape[1]):
        alone = np.flatnonzero(listener.alone == track)
        middles = (alone * (frame_time(2) - frame_time(1)) + frame_time(0.5)) * FRAME_RATE
        named = who[np.minimum(middles.astype(np.intp), len(who) - 1)]
        alone, named = alone[named != _NOBODY], named[named != _NOBODY]
        if not len(alone):
            continue
        frames = np.flatnonzero(active[:, track])
        after = np.searchsorted(alone, frames).clip(0, len(alone) - 1)
        before = (after - 1).clip(0)
        nearest = np.where(frames - alone[before] <= np.abs(alone[after] - frames), before, after)
        by_track[frames, track] = named[nearest]
    for speaker in np.unique(speakers).tolist():
        talks = (by_track == speaker).any(axis=1)
        for start, end in zip(*_runs(talks), strict=True):
            if talks[start]:
                yield SpeakerTurn(frame_time(int(start)), frame_time(int(end)), str(speaker))


def _runs(values: npt.NDArray[np.generic]) -> tuple[IntArray, IntArray]:
    """Return where runs of equal values start and end."""
    if not len(values):
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    starts = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1]).astype(np.intp)
    return starts, np.append(starts[1:], len(values))
