"""When exactly the speakers change: hidden Markov model over the frames, one Gaussian a speaker, decoded by Viterbi.

Takes a rough labelling and returns a fine one. No audio, no names.
"""

import numpy as np

from stt_pipeline.speech.diarization.features import FRAME_RATE
from stt_pipeline.speech.diarization.gaussians import FloatArray, Gaussians, IntArray

_STEP = FRAME_RATE // 20
"""Frames decided together: 50 ms is finer than any reference, and five times cheaper than single frames."""

_CHANGE_PENALTY = 60.0
"""Nats that a change of speaker costs in the middle of speech; in a pause it is free. 60 to 120 make no difference."""

_PASSES = 2  # the first corrects the 2 s grid, the second learns from cleaner labels; a third changes nothing


def resegment(
    vectors: FloatArray, labels: IntArray, region_lengths: IntArray, *, min_speakers: int, min_frames: int
) -> IntArray:
    """Return each vector's speaker, as one of the given labels.

    Args:
        vectors: float[n, d], the speech only, regions one after the other.
        labels: int[n], a first guess; -1 where there is none.
        region_lengths: int[regions], vectors in each region; the sum is n.
        min_speakers: so many speakers stay however little they say.
        min_frames: a speaker who has fewer vectors than this after a pass was a mistake and goes to the others.
    """
    starts, penalties = _steps(region_lengths)
    for _ in range(_PASSES):
        talk = np.bincount(labels[labels >= 0])
        by_talk = np.argsort(-talk, kind="stable")
        keep = np.sort(by_talk[: max(min_speakers, 1, int((talk >= min_frames).sum()))])
        keep = keep[talk[keep] > 0]
        if len(keep) == 1:
            return np.full_like(labels, keep[0])
        index = np.full(len(talk) + 1, -1)  # one more, so that label -1 finds -1
        index[keep] = np.arange(len(keep))
        voices = Gaussians.of(vectors, index[labels])
        scores = np.add.reduceat(voices.log_likelihoods(vectors), starts, axis=0)
        path = _viterbi(scores, penalties)
        labels = keep[np.repeat(path, np.diff(np.append(starts, len(vectors))))]
    return labels


def _steps(region_lengths: IntArray) -> tuple[IntArray, FloatArray]:
    """Return the first vector of each step, steps never crossing a pause, and what a change costs on entering it."""
    ends = np.cumsum(region_lengths)
    steps = [np.arange(end - length, end, _STEP) for end, length in zip(ends, region_lengths, strict=True)]
    penalties = [np.where(np.arange(len(region)) == 0, 0.0, _CHANGE_PENALTY) for region in steps]
    return np.concatenate(steps), np.concatenate(penalties)


def _viterbi(scores: FloatArray, penalties: FloatArray) -> IntArray:
    """Return the best state at each step; entering step ``t`` in another state than before costs ``penalties[t]``."""
    steps, states = scores.shape
    came_from = np.empty((steps, states), dtype=np.intp)
    stay = np.arange(states)
    total = scores[0].astype(np.float64)
    for t in range(1, steps):
        best = int(total.argmax())
        changed = total[best] - penalties[t]
        came_from[t] = np.where(total >= changed, stay, best)
        total = np.maximum(total, changed) + scores[t]
    path = np.empty(steps, dtype=np.intp)
    path[-1] = total.argmax()
    for t in range(steps - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path
