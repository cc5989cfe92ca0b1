"""The diarizer that needs no download: voice activity, cepstra, BIC clustering, Viterbi resegmentation, in that order.

Each step has its own module; here they only meet, and frames become turns in seconds.
"""

from itertools import pairwise

import numpy as np

from stt_pipeline.audio.sound import Sound, all_samples
from stt_pipeline.speech.diarization.clustering import DEFAULT_MAX_CLUSTERS, cluster
from stt_pipeline.speech.diarization.diarizer import check_speaker_limits
from stt_pipeline.speech.diarization.features import FRAME_RATE, mfcc
from stt_pipeline.speech.diarization.gaussians import Gaussians, IntArray
from stt_pipeline.speech.diarization.resegmentation import resegment
from stt_pipeline.speech.diarization.voice_activity import speech_regions
from stt_pipeline.speech.transcript import SpeakerTurn

_UNIT = 2.0
"""Seconds of speech that are clustered as one: shorter units follow the words instead of the voice (1.5 s makes three
times the errors of 2 s), longer ones mix voices."""

_SHORTEST_UNIT = 0.5  # seconds; what is shorter says too little and is left to the resegmentation

_LEAST_SHARE, _LEAST_TALK, _ENOUGH_TALK = 0.05, 0.5, 10.0
"""Who says less than a twentieth of all speech is no speaker but noise or an odd sentence, within 0.5 to 10 seconds."""


class EmbeddedDiarizer:
    """Finds speakers with numpy, scipy and the bundled Silero VAD. Deterministic.

    One speaker at a time: where two talk at once, only one of them is reported. Time grows linearly with the length
    of the recording (an hour takes about 15 s of one CPU core), and so does memory, to about three times the samples.
    """

    name = "embedded"

    def diarize(
        self,
        sound: Sound,
        *,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
    ) -> tuple[SpeakerTurn, ...]:
        """See :meth:`Diarizer.diarize`."""
        check_speaker_limits(min_speakers, max_speakers)
        fewest = min_speakers or 1
        most = max_speakers or max(DEFAULT_MAX_CLUSTERS, fewest)
        samples = all_samples(sound)
        regions = speech_regions(samples)
        if not regions:
            return ()
        features = mfcc(samples)
        bounds = np.clip(np.rint(np.array(regions) * FRAME_RATE).astype(np.intp), 0, len(features))
        bounds = bounds[bounds[:, 1] > bounds[:, 0]]
        speech = np.concatenate([features[start:end] for start, end in bounds])
        speech = (speech - speech.mean(axis=0)) / (speech.std(axis=0) + 1e-6)
        lengths = bounds[:, 1] - bounds[:, 0]

        units = _units(lengths)
        rough = cluster(Gaussians.of(speech, units), fewest, most)
        guess = np.append(rough, -1)[units]
        least = min(max(_LEAST_SHARE * len(speech) / FRAME_RATE, _LEAST_TALK), _ENOUGH_TALK)
        speakers = resegment(speech, guess, lengths, min_speakers=fewest, min_frames=int(least * FRAME_RATE))
        return _turns(bounds, speakers)


def _units(lengths: IntArray) -> IntArray:
    """Return for each frame the unit it belongs to: regions cut evenly into about 2 s; -1 where a unit is too short."""
    units, count = [], 0
    too_short = min(_SHORTEST_UNIT * FRAME_RATE, lengths.max())
    for length in lengths:
        if length < too_short:
            units.append(np.full(length, -1))
            continue
        pieces = max(1, round(length / FRAME_RATE / _UNIT))
        units.append(count + np.arange(length) * pieces // length)
        count += pieces
    return np.concatenate(units)


def _turns(bounds: IntArray, speakers: IntArray) -> tuple[SpeakerTurn, ...]:
    """Cut regions, given as [first frame, end frame], where the speaker changes; label speakers as they appear."""
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
