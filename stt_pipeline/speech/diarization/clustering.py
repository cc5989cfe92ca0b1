"""Which stretches of speech share a voice: agglomerative clustering by the Bayesian information criterion (BIC).

Works on Gaussians only: no audio, no time, no names. After Chen and Gopalakrishnan, "Speaker, environment and channel
change detection and clustering via the Bayesian information criterion", DARPA workshop 1998.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from stt_pipeline.speech.diarization.gaussians import FloatArray, Gaussians, IntArray

_BIC_WEIGHT = 1.5
"""Lambda of the criterion: how much longer a description must get before two voices are taken for two speakers."""

_DIVERGENCE_ALLOWED = 1.0
"""Nats a vector by which one speaker's stretches may differ. Without it the loss of a merge grows with the amount of
speech while the penalty grows with its logarithm, and long recordings break into too many speakers."""

# Both were swept on 48 synthetic meetings, a real telephone call and eight excerpts of real meetings. The meetings are
# flat from 1.5 to 2 and from 0.6 to 1; the call keeps its two speakers up to 1.75 with 0.9, and 1.5 with 1.05.

PART = 300
"""Sets compared pairwise at once (ten minutes of 2 s)."""

_TOGETHER, _APART = 1.0, 10.0
"""Nats a vector that a tie is worth: divergence allowed beyond the usual, and what two who are apart must be alike more."""

_MOST_OF_A_PART = PART // 3  # so that a part always shrinks

_DEFAULT_MAX_CLUSTERS = 20
"""More voices than this in one meeting are more likely a failure of the criterion than a crowd."""


@dataclass(frozen=True, slots=True)
class Part:
    """Sets that are clustered together first.

    Attributes:
        sets: at most :data:`PART` of them.
        ties: float64 ``(sets, sets)``, symmetric, from -1 to 1: what else than the voice speaks for one speaker (above 0)
            or for two (below); 0 where nothing is known.
    """

    sets: Gaussians
    ties: FloatArray | None = None


def cluster(
    parts: Iterable[Part], min_clusters: int = 1, max_clusters: int | None = None
) -> tuple[IntArray, Gaussians]:
    """Return a label 0..k-1 for each set, and each cluster's statistics; ``min_clusters`` <= k <= ``max_clusters``.

    Args:
        parts: the sets in order of time; parts are asked for one after the other, each is clustered alone, and then
            the parts' clusters are, so that time and memory grow linearly with long recordings.
        min_clusters: given as many sets.
        max_clusters: at least 1; None: as many as a meeting may have, or ``min_clusters`` where that is more.

    Raises:
        ValueError: there are no parts.
    """
    if max_clusters is None:
        max_clusters = max(_DEFAULT_MAX_CLUSTERS, min_clusters)
    labels: list[IntArray] = []
    clusters: list[Gaussians] = []
    waiting: Part | None = None  # so that the only part of a short recording is known as such
    for part in itertools.chain(parts, [None]):
        if waiting is not None:
            limits = (min_clusters, max_clusters)
            if part is not None or labels:
                # a limit on the whole must not force different voices together in a part
                at_most = min(max(max_clusters, _DEFAULT_MAX_CLUSTERS), _MOST_OF_A_PART)
                limits = (min(min_clusters, _MOST_OF_A_PART), at_most)
            found = _agglomerate(waiting, *limits)
            labels.append(found + sum(len(earlier) for earlier in clusters))
            clusters.append(waiting.sets.merged(found))
        waiting = part
    if not clusters:
        raise ValueError("There is nothing to cluster.")
    if len(clusters) == 1:
        return labels[0], clusters[0]
    together = Gaussians.concatenated(clusters)
    again = (Part(together[slice(first, first + PART)]) for first in range(0, len(together), PART))
    found, merged = cluster(again, min_clusters, max_clusters)
    return found[np.concatenate(labels)], merged


class _Ties:
    """What is known of sets beside their voices, kept while they merge: the mean over all pairs that something is known of."""

    def __init__(self, ties: FloatArray | None, sets: int) -> None:
        known = np.zeros((sets, sets)) if ties is None else ties
        self._sums = known.copy()
        self._counts = (known != 0).astype(np.float64)

    def merge(self, i: int, j: int) -> None:
        for whole in (self._sums, self._counts):
            whole[i] += whole[j]
            whole[:, i] += whole[:, j]

    def nats(self, i: int, others: "slice | IntArray") -> FloatArray:
        """Return what a merge of set ``i`` with each other set saves, in nats a vector."""
        mean = self._sums[i, others] / np.maximum(self._counts[i, others], 1)
        return np.asarray(np.where(mean > 0, _TOGETHER * mean, _APART * mean))


def _agglomerate(part: Part, min_clusters: int, max_clusters: int) -> IntArray:
    """Merge the cheapest pair until every merge costs more than it saves."""
    sets = part.sets
    merged = Gaussians(sets.counts.copy(), sets.sums.copy(), sets.squares.copy())
    ties = _Ties(part.ties, len(sets))
    labels = np.arange(len(sets))
    costs = np.full((len(sets), len(sets)), np.inf)
    for i in range(len(sets) - 1):
        rest = slice(i + 1, None)
        costs[i, rest] = costs[rest, i] = _merge_costs(sets[i : i + 1], sets[rest], ties.nats(i, rest))
    alive = labels.copy()
    while len(alive) > min_clusters:
        i, j = sorted(int(index) for index in np.unravel_index(np.argmin(costs), costs.shape))
        if costs[i, j] > 0 and len(alive) <= max_clusters:
            break
        for whole in (merged.counts, merged.sums, merged.squares):
            whole[i] += whole[j]
        ties.merge(i, j)
        labels[labels == j] = i
        costs[j, :] = costs[:, j] = np.inf
        alive = alive[alive != j]
        others = alive[alive != i]
        costs[i, others] = costs[others, i] = _merge_costs(
            merged[i : i + 1], merged[others], ties.nats(i, others)
        )
    return np.asarray(np.unique(labels, return_inverse=True)[1])


def _merge_costs(one: Gaussians, many: Gaussians, saved: FloatArray) -> FloatArray:
    """Return float64[k], in nats: what describing ``one`` and each of ``many`` by a single Gaussian loses over two."""
    both = one + many
    dimensions = one.sums.shape[1]
    parameters = dimensions + dimensions * (dimensions + 1) / 2
    loss = 0.5 * (
        both.counts * both.log_determinants()
        - one.counts * one.log_determinants()
        - many.counts * many.log_determinants()
    )
    penalty = 0.5 * _BIC_WEIGHT * parameters * np.log(both.counts)
    allowed = _DIVERGENCE_ALLOWED + saved
    return np.asarray(loss - penalty - allowed * one.counts * many.counts / both.counts)
