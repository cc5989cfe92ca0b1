"""Which stretches of speech share a voice: agglomerative clustering by the Bayesian information criterion (BIC).

Works on Gaussians only: no audio, no time, no names. After Chen and Gopalakrishnan, "Speaker, environment and channel
change detection and clustering via the Bayesian information criterion", DARPA workshop 1998.
"""

from collections.abc import Iterable

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

_MOST_OF_A_PART = PART // 3  # so that a part always shrinks

DEFAULT_MAX_CLUSTERS = 20
"""More voices than this in one meeting are more likely a failure of the criterion than a crowd."""


def cluster(
    parts: Iterable[Gaussians], min_clusters: int = 1, max_clusters: int = DEFAULT_MAX_CLUSTERS
) -> tuple[IntArray, Gaussians]:
    """Return a label 0..k-1 for each set, and each cluster's statistics; ``min_clusters`` <= k <= ``max_clusters``.

    Args:
        parts: the sets, in parts of at most :data:`PART`, which are asked for one after the other: each is clustered
            alone, and then the parts' clusters are, so that time and memory grow linearly with long recordings.
        min_clusters: given as many sets.
        max_clusters: at least 1.
    """
    labels: list[IntArray] = []
    clusters: list[Gaussians] = []
    waiting: Gaussians | None = None  # so that a recording of one part is known as such
    for part in parts:
        if waiting is not None:
            _add_part(waiting, min_clusters, max_clusters, labels, clusters)
        waiting = part
    if waiting is None:
        raise ValueError("There is nothing to cluster.")
    if not labels:
        found = _agglomerate(waiting, min_clusters, max_clusters)
        return found, waiting.merged(found)
    _add_part(waiting, min_clusters, max_clusters, labels, clusters)
    together = Gaussians.concatenated(clusters)
    found, merged = cluster(
        (together[slice(first, first + PART)] for first in range(0, len(together), PART)),
        min_clusters,
        max_clusters,
    )
    return found[np.concatenate(labels)], merged


def _add_part(
    part: Gaussians, min_clusters: int, max_clusters: int, labels: list[IntArray], clusters: list[Gaussians]
) -> None:
    found = _agglomerate(
        part,
        min(min_clusters, _MOST_OF_A_PART),
        # a limit on the whole must not force different voices together in a part
        min(max(max_clusters, DEFAULT_MAX_CLUSTERS), _MOST_OF_A_PART),
    )
    labels.append(found + sum(len(earlier) for earlier in clusters))
    clusters.append(part.merged(found))


def _agglomerate(sets: Gaussians, min_clusters: int, max_clusters: int) -> IntArray:
    """Merge the cheapest pair until every merge costs more than it saves."""
    merged = Gaussians(sets.counts.copy(), sets.sums.copy(), sets.squares.copy())
    labels = np.arange(len(sets))
    costs = np.full((len(sets), len(sets)), np.inf)
    for i in range(len(sets) - 1):
        costs[i, i + 1 :] = costs[i + 1 :, i] = _merge_costs(sets[i : i + 1], sets[i + 1 :])
    alive = labels.copy()
    while len(alive) > min_clusters:
        i, j = sorted(int(index) for index in np.unravel_index(np.argmin(costs), costs.shape))
        if costs[i, j] > 0 and len(alive) <= max_clusters:
            break
        for whole in (merged.counts, merged.sums, merged.squares):
            whole[i] += whole[j]
        labels[labels == j] = i
        costs[j, :] = costs[:, j] = np.inf
        alive = alive[alive != j]
        others = alive[alive != i]
        costs[i, others] = costs[others, i] = _merge_costs(merged[i : i + 1], merged[others])
    return np.asarray(np.unique(labels, return_inverse=True)[1])


def _merge_costs(one: Gaussians, many: Gaussians) -> FloatArray:
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
    return np.asarray(loss - penalty - _DIVERGENCE_ALLOWED * one.counts * many.counts / both.counts)
