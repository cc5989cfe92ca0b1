"""Which stretches of speech share a voice: agglomerative clustering by the Bayesian information criterion (BIC).

Works on Gaussians only: no audio, no time, no names. After Chen and Gopalakrishnan, "Speaker, environment and channel
change detection and clustering via the Bayesian information criterion", DARPA workshop 1998.
"""

import numpy as np

from stt_pipeline.speech.diarization.gaussians import FloatArray, Gaussians, IntArray

_BIC_WEIGHT = 1.5
"""Lambda of the criterion: how much longer a description must get before two voices are taken for two speakers."""

_DIVERGENCE_ALLOWED = 1.0
"""Nats a vector by which one speaker's stretches may differ. Without it the loss of a merge grows with the amount of
speech while the penalty grows with its logarithm, and long recordings break into too many speakers."""

# Both were swept on 48 synthetic meetings, a real telephone call and eight excerpts of real meetings. The meetings are
# flat from 1.5 to 2 and from 0.6 to 1; the call keeps its two speakers up to 1.75 with 0.9, and 1.5 with 1.05.

_MOST_AT_ONCE = 300
"""Sets compared pairwise at once (ten minutes of 2 s): above it the recording is clustered part by part first."""

_MOST_OF_A_PART = _MOST_AT_ONCE // 3  # so that a part always shrinks

DEFAULT_MAX_CLUSTERS = 20
"""More voices than this in one meeting are more likely a failure of the criterion than a crowd."""


def cluster(sets: Gaussians, min_clusters: int = 1, max_clusters: int = DEFAULT_MAX_CLUSTERS) -> IntArray:
    """Return a label 0..k-1 for each set; ``min_clusters`` <= k <= ``max_clusters``, given as many sets.

    Time grows with the square of the number of sets up to some hundreds and linearly beyond, memory likewise: long
    recordings are clustered in consecutive parts, and then the parts' clusters are clustered.
    """
    if len(sets) <= _MOST_AT_ONCE:
        return _agglomerate(sets, min_clusters, max_clusters)
    labels = np.empty(len(sets), dtype=np.intp)
    found = 0
    for start in range(0, len(sets), _MOST_AT_ONCE):
        part = slice(start, start + _MOST_AT_ONCE)
        labels[part] = found + _agglomerate(
            sets[part],
            min(min_clusters, _MOST_OF_A_PART),
            # a limit on the whole must not force different voices together in a part
            min(max(max_clusters, DEFAULT_MAX_CLUSTERS), _MOST_OF_A_PART),
        )
        found = int(labels[part].max()) + 1
    return cluster(sets.merged(labels), min_clusters, max_clusters)[labels]


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
