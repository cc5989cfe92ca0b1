"""Exact times of speaker changes: a hidden Markov model with one Gaussian per speaker, decoded by Viterbi.

Takes rough speaker models and returns the speaker of each frame. No audio, no labels.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stt_pipeline.speech.diarization.features import FRAME_RATE
from stt_pipeline.speech.diarization.gaussians import FloatArray, Gaussians, IntArray
from stt_pipeline.speech.diarization.speech_features import SpeechFeatures

_STEP = FRAME_RATE // 20
"""Frames per decision: 50 ms is finer than any reference, and five times cheaper than single frames."""

_CHANGE_PENALTY = 60.0
"""Cost of a speaker change within a region, in nats; in a pause it is free. 60 to 120 give the same results."""

_PASSES = 2  # the first corrects the 2 s grid, the second trains on cleaner labels; a third changes nothing

_IMPOSSIBLE = 1e6  # nats

_MIN_SPEECH, _ENOUGH_SPEECH = 0.5, 10.0
"""Seconds of speech below which a speaker is always removed, and above which it is always kept, whatever its share."""

_CHUNK_STEPS = 2_000  # steps whose features are in memory at a time


def resegment(
    features: SpeechFeatures,
    models: Gaussians,
    *,
    min_speakers: int,
    min_share: float,
    allowed: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.uint8]:
    """Return the speaker of each speech frame, 0 to at most 254, an index into ``models``.

    Args:
        features: of all speech regions.
        models: initial speaker models, as statistics of some of the frames.
        min_speakers: this many speakers are kept, however little they speak.
        min_share: a speaker with less than this share of all speech is removed before a pass, and its frames go to the
            others; the threshold is limited to 0.5 to 10 seconds.
        allowed: bool ``(regions, models)``, the speakers that are possible in each region; a region without any allows all.
    """
    starts, pauses = _steps(features.lengths)
    lengths = np.diff(np.append(starts, len(features)))
    numbers = np.arange(len(models), dtype=np.uint8)
    regions = np.cumsum(pauses) - 1
    minimum = min(max(min_share * len(features) / FRAME_RATE, _MIN_SPEECH), _ENOUGH_SPEECH)
    min_frames = int(minimum * FRAME_RATE)
    for done in range(_PASSES):
        keep = _speakers(models.counts, min_speakers, min_frames)
        numbers, models = numbers[keep], models[keep]
        if len(numbers) == 1:
            return np.full(len(features), numbers[0])
        scores = _scores(features, starts, models)
        if allowed is not None:
            is_allowed = allowed[:, keep] | ~allowed[:, keep].any(axis=1, keepdims=True)
            scores = map(
                np.add, scores, (np.where(is_allowed, 0.0, -_IMPOSSIBLE)[region] for region in regions)
            )
            allowed = allowed[:, keep]
        path = _viterbi(scores, pauses, len(numbers))
        if done < _PASSES - 1:
            models = _estimate(features, starts, path, len(numbers))
    return np.repeat(numbers[path], lengths)


def _speakers(frames: FloatArray, min_speakers: int, min_frames: int) -> IntArray:
    """Return the indices of the speakers to keep, given the number of speech frames of each."""
    by_length = np.argsort(-frames, kind="stable")
    keep = np.sort(by_length[: max(min_speakers, 1, int((frames >= min_frames).sum()))])
    return np.asarray(keep[frames[keep] > 0])


def _steps(region_lengths: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Return the first frame of each step, and whether a pause is before it; steps never cross a pause."""
    ends = np.cumsum(region_lengths)
    steps = [np.arange(end - length, end, _STEP) for end, length in zip(ends, region_lengths, strict=True)]
    first = np.concatenate([np.arange(len(region)) == 0 for region in steps])
    return np.concatenate(steps), first


def _chunks(features: SpeechFeatures, starts: IntArray) -> Iterator[tuple[slice, IntArray, FloatArray]]:
    """Yield chunks of steps: their slice, their first frames within the chunk, and the chunk's features."""
    for first in range(0, len(starts), _CHUNK_STEPS):
        some = slice(first, min(first + _CHUNK_STEPS, len(starts)))
        end = int(starts[some.stop]) if some.stop < len(starts) else len(features)
        yield some, starts[some] - starts[first], features.read(int(starts[first]), end)


def _scores(features: SpeechFeatures, starts: IntArray, models: Gaussians) -> Iterator[FloatArray]:
    """Yield the log-likelihoods of each step under each model, float64 ``(models,)``."""
    for _, first_frames, vectors in _chunks(features, starts):
        yield from np.add.reduceat(models.log_likelihoods(vectors), first_frames, axis=0)


def _estimate(
    features: SpeechFeatures, starts: IntArray, path: npt.NDArray[np.uint8], count: int
) -> Gaussians:
    """Return the models of ``count`` speakers, estimated from the frames that the path gives to each."""
    models: Gaussians | None = None
    for steps, first_frames, vectors in _chunks(features, starts):
        speakers = np.repeat(path[steps], np.diff(np.append(first_frames, len(vectors))))
        some = Gaussians.of(vectors, speakers.astype(np.intp), count)
        models = some if models is None else models + some
    assert models is not None  # there is at least one step
    return models


def _viterbi(
    scores: Iterator[FloatArray], pauses: npt.NDArray[np.bool_], models: int
) -> npt.NDArray[np.uint8]:
    """Return the best model at each step; a change has a cost, unless there is a pause before the step."""
    # one byte per step and model: 14 MB for ten hours with 20 speakers
    came_from = np.empty((len(pauses), models), dtype=np.uint8)
    stay = np.arange(models, dtype=np.uint8)
    total = np.zeros(models)
    for step, (score, pause) in enumerate(zip(scores, pauses.tolist(), strict=True)):
        best = int(total.argmax())
        changed = total[best] - (0.0 if pause else _CHANGE_PENALTY)
        came_from[step] = np.where(total >= changed, stay, np.uint8(best))
        total = np.maximum(total, changed) + score
    path = np.empty(len(pauses), dtype=np.uint8)
    path[-1] = total.argmax()
    for step in range(len(path) - 1, 0, -1):
        path[step - 1] = came_from[step, path[step]]
    return path
