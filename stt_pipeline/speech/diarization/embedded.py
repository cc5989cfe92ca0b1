"""Diarization backend `embedded`: the segmentation model of this package, Silero VAD, then clustering by voice.

The model separates up to three speakers within some seconds (`speaker_stitching`), also where they overlap. Clustering and
resegmentation recognize a speaker of the tenth minute in the second hour; tracks of the model near each other are evidence too.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.sound import Sound
from stt_pipeline.speech.diarization.clustering import PART_SIZE, Part, cluster
from stt_pipeline.speech.diarization.diarizer import ANY_NUMBER, SpeakerCount, relabel
from stt_pipeline.speech.diarization.features import FRAME_RATE
from stt_pipeline.speech.diarization.gaussians import Gaussians, IntArray
from stt_pipeline.speech.diarization.resegmentation import resegment
from stt_pipeline.speech.diarization.segmentation_model import activities
from stt_pipeline.speech.diarization.speaker_stitching import Activities, frame_time
from stt_pipeline.speech.diarization.speaker_tracks import TrackDetector, nearest, runs
from stt_pipeline.speech.diarization.speech_features import SpeechFeatures
from stt_pipeline.speech.transcript import SpeakerTurn

_UNIT = 2.0
"""Seconds of speech that are clustered as one unit: shorter units follow the words instead of the voice (1.5 s makes
three times the errors of 2 s), longer ones mix speakers."""

_SHORTEST_UNIT = 0.3  # seconds; shorter ones contain too little speech and are assigned by the resegmentation

_NEAR = 15.0
"""Seconds within which one track is most likely one speaker, and two tracks are two."""

_MIN_SHARE = 0.02
"""A cluster with less of all speech is noise or a single sentence, not a speaker."""

_NO_SPEAKER = 255


class EmbeddedDiarizer:
    """Finds speakers and their overlaps with onnxruntime, numpy and scipy: no extra, no download. Deterministic.

    Time grows linearly with the length of the recording (under 1 % of it on one CPU core). Memory hardly grows, because
    features are stored on disk.
    """

    name = "embedded"

    def __init__(self, activities: Activities = activities) -> None:
        """Use ``activities`` in place of the segmentation model."""
        self._activities = activities

    def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        """See :meth:`Diarizer.diarize`; turns may overlap."""
        detector = TrackDetector(self._activities)
        with SpeechFeatures(sound, detector) as features:
            if not len(features):
                return ()
            units = _Units(features, detector.region_tracks[features.kept])
            labels, models = cluster(units.parts(), speaker_count.min_speakers, speaker_count.max_speakers)
            speakers = resegment(
                features,
                models,
                min_speakers=speaker_count.min_speakers,
                min_share=_MIN_SHARE,
                allowed=units.nearby_models(labels, len(models)),
            )
            return relabel(_turns(detector, features.bounds, speakers))


class _Units:
    """Up to a few seconds each of a single track: the items of the clustering."""

    def __init__(self, features: SpeechFeatures, tracks: npt.NDArray[np.int8]) -> None:
        """Cut the regions, each of one of ``tracks``, evenly into units; too short regions give none."""
        self._features = features
        self._tracks = tracks
        self._times = features.bounds.mean(axis=1) / FRAME_RATE  # middles of the regions, in seconds
        too_short = min(_SHORTEST_UNIT * FRAME_RATE, features.lengths.max())
        firsts = np.cumsum(features.lengths) - features.lengths
        units = [
            (region, first + length * piece // pieces, first + length * (piece + 1) // pieces)
            for region, (first, length) in enumerate(
                zip(firsts.tolist(), features.lengths.tolist(), strict=True)
            )
            if length >= too_short
            for pieces in [max(1, round(length / FRAME_RATE / _UNIT))]
            for piece in range(pieces)
        ]
        self._units = np.array(units, dtype=np.intp)  # [units, (region, first frame, end frame)]

    def parts(self) -> Iterator[Part]:
        """Yield the statistics of the units, with links between units of near tracks."""
        for start in range(0, len(self._units), PART_SIZE):
            units = self._units[start : start + PART_SIZE]
            sets = [
                Gaussians.of(self._features.read(first, end), np.zeros(end - first, dtype=np.intp))
                for _, first, end in units.tolist()
            ]
            times, tracks = self._times[units[:, 0]], self._tracks[units[:, 0]]
            near = np.abs(times[:, None] - times) < _NEAR
            same = np.where(tracks[:, None] == tracks, 1.0, -1.0)
            yield Part(Gaussians.concatenated(sets), np.where(near, same, 0.0))

    def nearby_models(self, labels: IntArray, models: int) -> npt.NDArray[np.bool_]:
        """Return which speaker models the track of each region has nearby, bool ``(regions, models)``."""
        found = np.zeros((len(self._times), models), dtype=np.bool_)
        for track in np.unique(self._tracks):
            of_track = self._tracks[self._units[:, 0]] == track
            times, track_labels = self._times[self._units[of_track, 0]], labels[of_track]
            for region in np.flatnonzero(self._tracks == track).tolist():
                time = self._times[region]
                first, end = np.searchsorted(times, [time - _NEAR, time + _NEAR])
                found[region, track_labels[first:end]] = True
        return found


def _turns(
    detector: TrackDetector, bounds: IntArray, speakers: npt.NDArray[np.uint8]
) -> Iterator[SpeakerTurn]:
    """Yield the turns of each speaker; in an overlap, a track keeps its speaker of the nearest frame without overlap."""
    speaker_of = np.full(int(bounds[-1, 1]) + 1, _NO_SPEAKER, dtype=np.uint8)  # of each feature frame
    done = 0
    for start, end in bounds.tolist():
        speaker_of[start:end] = speakers[done : done + end - start]
        done += end - start
    active = detector.active
    by_track = np.full(active.shape, _NO_SPEAKER, dtype=np.uint8)
    for track in range(active.shape[1]):
        alone = np.flatnonzero(detector.only_track == track)
        middles = (alone * (frame_time(2) - frame_time(1)) + frame_time(0.5)) * FRAME_RATE
        named = speaker_of[np.minimum(middles.astype(np.intp), len(speaker_of) - 1)]
        by_track[alone, track] = named
        alone = alone[named != _NO_SPEAKER]
        if len(alone):
            frames = np.flatnonzero(active[:, track])
            by_track[frames, track] = by_track[nearest(frames, alone), track]
    for speaker in np.unique(speakers).tolist():
        is_active = (by_track == speaker).any(axis=1)
        for start, end in zip(*runs(is_active), strict=True):
            if is_active[start]:
                yield SpeakerTurn(frame_time(int(start)), frame_time(int(end)), str(speaker))
