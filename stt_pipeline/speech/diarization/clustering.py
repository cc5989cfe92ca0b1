"""Agglomerative clustering of speech units by speaker, with the Bayesian information criterion (BIC).

Works on Gaussians only: no audio, no time, no labels. Follows Chen and Gopalakrishnan, "Speaker, environment and channel
change detection and clustering via the Bayesian information criterion", DARPA workshop 1998.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from stt_pipeline.speech.diarization.gaussians import FloatArray, Gaussians, IntArray

_BIC_WEIGHT = 1.5
"""Lambda of the criterion: a higher weight merges more, so it finds fewer speakers."""

_DIVERGENCE_ALLOWED = 1.0
"""Nats per vector by which units of one speaker may differ. Without it the loss of a merge grows with the amount of
speech while the penalty grows with its logarithm, and long recordings get too many speakers."""

# Both were tuned on 48 synthetic meetings, a real telephone call and eight excerpts of real meetings, without links between
# sets. The DER of the meetings was flat from 1.5 to 2 and from 0.6 to 1.

_SAME_SOUND = 0.5
"""Nats per vector below which two sets are one sentence that was played or said again. Copies of a sentence differ by 0.2 at
most, because the units of a copy begin a few frames later; other sentences of the same voice differ by 4 (median)."""

PART_SIZE = 300
"""Sets that are compared pairwise at a time (ten minutes in units of 2 s)."""

_SAME_SPEAKER, _OTHER_SPEAKER = 0.5, 1.0
"""Nats per vector by which a link of 1, and of -1, raises or lowers the allowed divergence. With 1 and 10, links decide alone:
three of 14 synthetic meetings got a speaker too many; without links, overlapping speakers of real meetings are merged."""

_MAX_PART_CLUSTERS = PART_SIZE // 3  # so that each round reduces the number of sets

_DEFAULT_MAX_CLUSTERS = 20
"""More clusters than this in one meeting are more likely a failure of the criterion than real speakers."""


@dataclass(frozen=True, slots=True)
class Part:
    """Sets that are clustered together in the first round.

    Attributes:
        sets: at most :data:`PART_SIZE` of them.
        links: float64 ``(sets, sets)``, symmetric, from -1 to 1: evidence other than the voice for the same speaker
            (above 0) or for different ones (below 0); 0 for no evidence.
    """

    sets: Gaussians
    links: FloatArray | None = None


def cluster(
    parts: Iterable[Part], min_clusters: int = 1, max_clusters: int | None = None
) -> tuple[IntArray, Gaussians]:
    """Return a label 0..k-1 per set, and the statistics of each cluster; ``min_clusters`` <= k <= ``max_clusters``.

    Args:
        parts: the sets in order of time. Parts are read one at a time; each is clustered, then their clusters are, so that
            time and memory grow linearly with the length of the recording.
        min_clusters: requires at least as many sets.
        max_clusters: at least 1; None selects a default for meetings, or ``min_clusters`` if that is higher.

    Raises:
        ValueError: there are no parts.
    """
    if max_clusters is None:
        max_clusters = max(_DEFAULT_MAX_CLUSTERS, min_clusters)
    labels: list[IntArray] = []
    clusters: list[Gaussians] = []
    waiting: Part | None = None  # delayed by one, to detect the only part of a short recording
    for part in itertools.chain(parts, [None]):
        if waiting is not None:
            limits = (min_clusters, max_clusters)
            if part is not None or labels:
                # the limit on the whole recording must not merge different speakers within a part
                at_most = min(max(max_clusters, _DEFAULT_MAX_CLUSTERS), _MAX_PART_CLUSTERS)
                limits = (min(min_clusters, _MAX_PART_CLUSTERS), at_most)
            sets = waiting.sets
            found = _agglomerate(sets, _Links(waiting.links, len(sets)), *limits)
            labels.append(found + sum(len(earlier) for earlier in clusters))
            clusters.append(sets.merged(found))
        waiting = part
    if not clusters:
        raise ValueError("There is nothing to cluster.")
    if len(clusters) == 1:
        return labels[0], clusters[0]
    together = Gaussians.concatenated(clusters)
    again = (Part(together[slice(first, first + PART_SIZE)]) for first in range(0, len(together), PART_SIZE))
    found, merged = cluster(again, min_clusters, max_clusters)
    return found[np.concatenate(labels)], merged


class _Links:
    """The links of sets while they merge: the mean over all linked pairs of two clusters."""

    def __init__(self, links: FloatArray | None, sets: int) -> None:
        known = np.zeros((sets, sets)) if links is None else links
        self._sums = known.copy()
        self._counts = (known != 0).astype(np.float64)

    def merged(self, labels: IntArray) -> "_Links":
        """Return the links of the unions 0..max; ``labels`` has one label per set."""
        member = (labels == np.arange(labels.max() + 1)[:, None]).astype(np.float64)
        links = _Links(None, len(member))
        links._sums, links._counts = member @ self._sums @ member.T, member @ self._counts @ member.T
        return links

    def merge(self, i: int, j: int) -> None:
        for whole in (self._sums, self._counts):
            whole[i] += whole[j]
            whole[:, i] += whole[:, j]

    def nats(self, i: int, others: "slice | IntArray") -> FloatArray:
        """Return the bonus for merging set ``i`` with each of ``others``, in nats per vector."""
        mean = self._sums[i, others] / np.maximum(self._counts[i, others], 1)
        return np.asarray(np.where(mean > 0, _SAME_SPEAKER * mean, _OTHER_SPEAKER * mean))


def _agglomerate(sets: Gaussians, links: _Links, min_clusters: int, max_clusters: int) -> IntArray:
    """Merge the cheapest pair until every merge has a positive cost."""
    from scipy.sparse.csgraph import connected_components

    divergences = np.full((len(sets), len(sets)), np.inf)
    for i in range(len(sets) - 1):
        rest = slice(i + 1, None)
        divergences[i, rest] = divergences[rest, i] = _divergences(sets[i : i + 1], sets[rest])
    sounds, sound_of = connected_components(divergences < _SAME_SOUND, directed=False)
    if min_clusters <= sounds < len(sets):
        # what is repeated counts once: copies are no evidence that a voice differs from itself in other words
        means = sets.merged(sound_of).scaled(1 / np.bincount(sound_of))
        labels = _agglomerate(means, links.merged(sound_of), min_clusters, max_clusters)
        return np.asarray(labels[sound_of])
    merged = Gaussians(sets.counts.copy(), sets.sums.copy(), sets.squares.copy())
    labels = np.arange(len(sets))
    costs = np.full((len(sets), len(sets)), np.inf)
    for i in range(len(sets) - 1):
        rest = slice(i + 1, None)
        known = divergences[i, rest] - links.nats(i, rest)
        costs[i, rest] = costs[rest, i] = _merge_costs(sets[i : i + 1], sets[rest], known)
    alive = labels.copy()
    while len(alive) > min_clusters:
        i, j = sorted(int(index) for index in np.unravel_index(np.argmin(costs), costs.shape))
        if costs[i, j] > 0 and len(alive) <= max_clusters:
            break
        for whole in (merged.counts, merged.sums, merged.squares):
            whole[i] += whole[j]
        links.merge(i, j)
        labels[labels == j] = i
        costs[j, :] = costs[:, j] = np.inf
        alive = alive[alive != j]
        others = alive[alive != i]
        one, many = merged[i : i + 1], merged[others]
        known = _divergences(one, many) - links.nats(i, others)
        costs[i, others] = costs[others, i] = _merge_costs(one, many, known)
    return np.asarray(np.unique(labels, return_inverse=True)[1])


def _divergences(one: Gaussians, many: Gaussians) -> FloatArray:
    """Return float64[k], in nats per vector: how much worse one Gaussian for ``one`` and each of ``many`` is than two."""
    both = one + many
    loss = 0.5 * (
        both.counts * both.log_determinants()
        - one.counts * one.log_determinants()
        - many.counts * many.log_determinants()
    )
    return np.asarray(loss * both.counts / (one.counts * many.counts))


def _merge_costs(one: Gaussians, many: Gaussians, divergences: FloatArray) -> FloatArray:
    """Return float64[k], in nats: the BIC cost of one Gaussian for ``one`` and each of ``many``, instead of two."""
    counts = one.counts + many.counts
    dimensions = one.sums.shape[1]
    parameters = dimensions + dimensions * (dimensions + 1) / 2
    penalty = 0.5 * _BIC_WEIGHT * parameters * np.log(counts)
    weights = one.counts * many.counts / counts
    return np.asarray((divergences - _DIVERGENCE_ALLOWED) * weights - penalty)
