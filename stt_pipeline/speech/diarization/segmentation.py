"""Diarization backend `segmentation`, which reports overlaps: whisperx's segmentation model, then clustering by voice.

The model separates up to three speakers within some seconds (`speaker_stitching`). Clustering and resegmentation, as in
`embedded`, recognize a speaker of the tenth minute in the second hour; tracks of the model near each other are evidence too.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.sound import Samples, Sound
from stt_pipeline.speech.diarization.clustering import PART_SIZE, Part, cluster
from stt_pipeline.speech.diarization.diarizer import ANY_NUMBER, SpeakerCount, relabel
from stt_pipeline.speech.diarization.features import FRAME_RATE
from stt_pipeline.speech.diarization.gaussians import Gaussians, IntArray
from stt_pipeline.speech.diarization.resegmentation import resegment
from stt_pipeline.speech.diarization.segmentation_model import SegmentationModel
from stt_pipeline.speech.diarization.speaker_stitching import Activities, SpeakerStitcher, frame_time
from stt_pipeline.speech.diarization.speech_features import SpeechFeatures
from stt_pipeline.speech.diarization.voice_activity import Region
from stt_pipeline.speech.transcript import SpeakerTurn

_THRESHOLD = 0.5
# seconds; the minimum is lower than in `embedded`, because speakers interrupt each other
_UNIT, _SHORTEST_UNIT = 2.0, 0.3
_NEAR = 15.0
"""Seconds within which one track is most likely one speaker, and two tracks are two: less than the model's window."""

_MIN_SHARE = 0.02
"""As in `embedded`, but lower: the model has already separated this speaker from the others."""
_NO_SPEAKER = 255


class SegmentationDiarizer:
    """Finds speakers and their overlaps with the model inside the whisperx package: no token, no network.

    Time grows linearly with the length of the recording (about 5 % of it on one CPU core); memory hardly grows.
    """

    name = "segmentation"

    def __init__(self, activities: Activities | None = None) -> None:
        """Load the model.

        Args:
            activities: replaces whisperx's model.

        Raises:
            ConfigurationError: the whisperx extra is not installed.
        """
        self._activities = activities or SegmentationModel().activities

    def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        """See :meth:`Diarizer.diarize`; turns may overlap."""
        detector = _SingleSpeakerDetector(SpeakerStitcher(self._activities))
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


class _SingleSpeakerDetector:
    """Finds the regions in which exactly one track is active: they contain the voice of one speaker."""

    def __init__(self, stitcher: SpeakerStitcher) -> None:
        self._stitcher = stitcher

    def feed(self, block: Samples) -> None:
        self._stitcher.feed(block)

    def finish(self) -> list[Region]:
        self.active = self._stitcher.finish() >= round(255 * _THRESHOLD)  # bool [frames, tracks]
        only_track = np.where(self.active.sum(axis=1) == 1, self.active.argmax(axis=1), -1)
        self.only_track = only_track.astype(np.int8)  # int8 [frames]; -1 for silence and overlap
        starts, ends = _runs(self.only_track)
        is_region = self.only_track[starts] >= 0
        self.region_tracks = self.only_track[starts[is_region]]  # int8 [regions]
        return [
            Region(frame_time(start), frame_time(end))
            for start, end in zip(starts[is_region].tolist(), ends[is_region].tolist(), strict=True)
        ]


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
    detector: _SingleSpeakerDetector, bounds: IntArray, speakers: npt.NDArray[np.uint8]
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
        alone, named = alone[named != _NO_SPEAKER], named[named != _NO_SPEAKER]
        if not len(alone):
            continue
        frames = np.flatnonzero(active[:, track])
        after = np.searchsorted(alone, frames).clip(0, len(alone) - 1)
        before = (after - 1).clip(0)
        nearest = np.where(frames - alone[before] <= np.abs(alone[after] - frames), before, after)
        by_track[frames, track] = named[nearest]
    for speaker in np.unique(speakers).tolist():
        is_active = (by_track == speaker).any(axis=1)
        for start, end in zip(*_runs(is_active), strict=True):
            if is_active[start]:
                yield SpeakerTurn(frame_time(int(start)), frame_time(int(end)), str(speaker))


def _runs(values: npt.NDArray[np.generic]) -> tuple[IntArray, IntArray]:
    """Return where runs of equal values start and end."""
    if not len(values):
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    starts = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1]).astype(np.intp)
    return starts, np.append(starts[1:], len(values))
