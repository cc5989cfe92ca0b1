"""When exactly the speakers change: hidden Markov model over the frames, one Gaussian a speaker, decoded by Viterbi.

Takes rough voices and returns who speaks when. No audio, no names.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stt_pipeline.speech.diarization.features import FRAME_RATE
from stt_pipeline.speech.diarization.gaussians import FloatArray, Gaussians, IntArray
from stt_pipeline.speech.diarization.speech_features import SpokenFeatures

_STEP = FRAME_RATE // 20
"""Frames decided together: 50 ms is finer than any reference, and five times cheaper than single frames."""

_CHANGE_PENALTY = 60.0
"""Nats that a change of speaker costs in the middle of speech; in a pause it is free. 60 to 120 make no difference."""

_PASSES = 2  # the first corrects the 2 s grid, the second learns from cleaner labels; a third changes nothing

_IMPOSSIBLE = 1e6  # nats

_LEAST_TALK, _ENOUGH_TALK = 0.5, 10.0
"""Seconds: who says less than the first was a mistake, and who says more than the second is a speaker, whatever their share."""

_AT_ONCE = 2_000  # steps that are in memory with their features


def resegment(
    features: SpokenFeatures,
    voices: Gaussians,
    *,
    min_speakers: int,
    least_share: float,
    allowed: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.uint8]:
    """Return the speaker of each spoken frame, 0 to at most 254, as numbered in ``voices``.

    Args:
        features: of all that is said.
        voices: a first guess of how the speakers sound, as statistics of some of the frames.
        min_speakers: so many speakers stay however little they say.
        least_share: a speaker who has less of all speech than this after a pass was a mistake and goes to the others;
            within 0.5 to 10 seconds.
        allowed: bool ``(stretches, voices)``, who may speak in each stretch; where that is nobody, everybody.
    """
    starts, pauses = _steps(features.lengths)
    lengths = np.diff(np.append(starts, len(features)))
    names = np.arange(len(voices), dtype=np.uint8)
    stretches = np.cumsum(pauses) - 1
    least = min(max(least_share * len(features) / FRAME_RATE, _LEAST_TALK), _ENOUGH_TALK)
    min_frames = int(least * FRAME_RATE)
    for done in range(_PASSES):
        keep = _speakers(voices.counts, min_speakers, min_frames)
        names, voices = names[keep], voices[keep]
        if len(names) == 1:
            return np.full(len(features), names[0])
        scores = _scores(features, starts, voices)
        if allowed is not None:
            open_to = allowed[:, keep] | ~allowed[:, keep].any(axis=1, keepdims=True)
            scores = map(
                np.add, scores, (np.where(open_to, 0.0, -_IMPOSSIBLE)[stretch] for stretch in stretches)
            )
            allowed = allowed[:, keep]
        path = _viterbi(scores, pauses, len(names))
        if done < _PASSES - 1:
            voices = _voices(features, starts, path, len(names))
    return np.repeat(names[path], lengths)


def _speakers(talk: FloatArray, min_speakers: int, min_frames: int) -> IntArray:
    """Return who stays, given how many frames each of them talks."""
    by_talk = np.argsort(-talk, kind="stable")
    keep = np.sort(by_talk[: max(min_speakers, 1, int((talk >= min_frames).sum()))])
    return np.asarray(keep[talk[keep] > 0])


def _steps(region_lengths: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Return the first frame of each step, steps never crossing a pause, and whether there is a pause before it."""
    ends = np.cumsum(region_lengths)
    steps = [np.arange(end - length, end, _STEP) for end, length in zip(ends, region_lengths, strict=True)]
    first = np.concatenate([np.arange(len(region)) == 0 for region in steps])
    return np.concatenate(steps), first


def _parts(features: SpokenFeatures, starts: IntArray) -> Iterator[tuple[slice, IntArray, FloatArray]]:
    """Yield some steps after the other: which they are, their first frames in the features, and these."""
    for first in range(0, len(starts), _AT_ONCE):
        some = slice(first, min(first + _AT_ONCE, len(starts)))
        end = int(starts[some.stop]) if some.stop < len(starts) else len(features)
        yield some, starts[some] - starts[first], features.read(int(starts[first]), end)


def _scores(features: SpokenFeatures, starts: IntArray, voices: Gaussians) -> Iterator[FloatArray]:
    """Yield how well each voice explains each step, float64 ``(voices,)`` each."""
    for _, first_frames, vectors in _parts(features, starts):
        yield from np.add.reduceat(voices.log_likelihoods(vectors), first_frames, axis=0)


def _voices(features: SpokenFeatures, starts: IntArray, path: npt.NDArray[np.uint8], count: int) -> Gaussians:
    """Return the statistics of those frames that the path gives to each of ``count`` voices."""
    voices: Gaussians | None = None
    for steps, first_frames, vectors in _parts(features, starts):
        speakers = np.repeat(path[steps], np.diff(np.append(first_frames, len(vectors))))
        some = Gaussians.of(vectors, speakers.astype(np.intp), count)
        voices = some if voices is None else voices + some
    assert voices is not None  # somebody speaks
    return voices


def _viterbi(
    scores: Iterator[FloatArray], pauses: npt.NDArray[np.bool_], voices: int
) -> npt.NDArray[np.uint8]:
    """Return the best voice at each step; a change costs, but not in a pause before the step."""
    # a byte for each step and voice: what is kept of ten hours with 20 voices takes 14 MB
    came_from = np.empty((len(pauses), voices), dtype=np.uint8)
    stay = np.arange(voices, dtype=np.uint8)
    total = np.zeros(voices)
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
