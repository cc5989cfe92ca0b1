"""Diarization backend `embedded`, which needs no download: VAD, cepstra, BIC clustering, Viterbi resegmentation.

Each step has its own module. This one connects them, and converts frames to turns in seconds.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.sound import Sound
from stt_pipeline.speech.diarization.clustering import PART_SIZE, Part, cluster
from stt_pipeline.speech.diarization.diarizer import ANY_NUMBER, SpeakerCount
from stt_pipeline.speech.diarization.features import FRAME_RATE
from stt_pipeline.speech.diarization.gaussians import Gaussians, IntArray
from stt_pipeline.speech.diarization.resegmentation import resegment
from stt_pipeline.speech.diarization.speech_features import SpeechFeatures
from stt_pipeline.speech.diarization.voice_activity import SpeechDetector
from stt_pipeline.speech.transcript import SpeakerTurn

_UNIT = 2.0
"""Seconds of speech that are clustered as one unit: shorter units follow the words instead of the voice (1.5 s makes
three times the errors of 2 s), longer ones mix speakers."""

_SHORTEST_UNIT = 0.5  # seconds; shorter ones contain too little speech and are assigned by the resegmentation

_MIN_SHARE = 0.05
"""A cluster with less than a twentieth of all speech is noise or a single sentence, not a speaker."""


class EmbeddedDiarizer:
    """Finds speakers with numpy, scipy and the bundled Silero VAD. Deterministic.

    One speaker at a time: where two overlap, only one is reported. Time grows linearly with the length of the recording
    (an hour takes about 15 s of one CPU core). Memory hardly grows, because features are stored on disk.
    """

    name = "embedded"

    def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        """See :meth:`Diarizer.diarize`."""
        with SpeechFeatures(sound, SpeechDetector()) as features:
            if not len(features):
                return ()
            _, models = cluster(_units(features), speaker_count.min_speakers, speaker_count.max_speakers)
            speakers = resegment(
                features, models, min_speakers=speaker_count.min_speakers, min_share=_MIN_SHARE
            )
            return _turns(features.bounds, speakers)


def _units(features: SpeechFeatures) -> Iterator[Part]:
    """Yield the statistics of units of about 2 s, :data:`PART_SIZE` at a time; each region is cut evenly."""
    too_short = min(_SHORTEST_UNIT * FRAME_RATE, features.lengths.max())
    units: list[Gaussians] = []
    for length, end in zip(features.lengths.tolist(), features.lengths.cumsum().tolist(), strict=True):
        if length < too_short:
            continue
        pieces = max(1, round(length / FRAME_RATE / _UNIT))
        cuts = [end - length + -(-length * piece // pieces) for piece in range(pieces + 1)]
        for first, last in pairwise(cuts):
            vectors = features.read(first, last)
            units.append(Gaussians.of(vectors, np.zeros(len(vectors), dtype=np.intp)))
            if len(units) == PART_SIZE:
                yield Part(Gaussians.concatenated(units))
                units = []
    if units:
        yield Part(Gaussians.concatenated(units))


def _turns(bounds: IntArray, speakers: npt.NDArray[np.uint8]) -> tuple[SpeakerTurn, ...]:
    """Cut regions, given as [first frame, end frame], where the speaker changes; number speakers by appearance."""
    labels: dict[int, str] = {}
    turns, done = [], 0
    for start, end in bounds.tolist():
        region = speakers[done : done + end - start]
        done += len(region)
        cuts = [0, *(np.flatnonzero(np.diff(region)) + 1).tolist(), len(region)]
        for first, last in pairwise(cuts):
            label = labels.setdefault(int(region[first]), f"SPEAKER_{len(labels):02d}")
            turns.append(SpeakerTurn((start + first) / FRAME_RATE, (start + last) / FRAME_RATE, label))
    return tuple(turns)
