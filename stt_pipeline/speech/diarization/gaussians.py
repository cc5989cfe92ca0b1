"""One full-covariance Gaussian for each set of feature vectors, kept as sums so that sets merge without their vectors.

Audio, time and speakers are not known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.intp]

_RIDGE = 1e-2
"""Added to each variance of features of unit variance: a set with fewer vectors than dimensions stays invertible."""


@dataclass(frozen=True, slots=True)
class Gaussians:
    """Sufficient statistics of ``k`` sets of vectors with ``d`` dimensions; indexing and adding work set by set."""

    counts: FloatArray  # [k]
    sums: FloatArray  # [k, d]
    squares: FloatArray  # [k, d, d]: sums of outer products

    @classmethod
    def of(cls, vectors: FloatArray, labels: IntArray, sets: int | None = None) -> "Gaussians":
        """Return the statistics of the sets 0..max given by ``labels``; vectors with label -1 are ignored.

        Args:
            vectors: float ``(n, d)``.
            labels: int ``(n,)``.
            sets: their number, if the last ones may be empty.
        """
        order = np.argsort(labels, kind="stable")
        bounds = np.searchsorted(labels[order], np.arange((labels.max() + 1 if sets is None else sets) + 1))
        members_of = [vectors[order[a:b]].astype(np.float64) for a, b in pairwise(bounds)]
        return cls(
            np.array([float(len(members)) for members in members_of]),
            np.stack([members.sum(axis=0) for members in members_of]),
            np.stack([members.T @ members for members in members_of]),
        )

    @classmethod
    def concatenated(cls, parts: Sequence["Gaussians"]) -> "Gaussians":
        """Return all sets of all ``parts``, in their order."""
        return cls(
            np.concatenate([part.counts for part in parts]),
            np.concatenate([part.sums for part in parts]),
            np.concatenate([part.squares for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, index: "slice | IntArray") -> "Gaussians":
        return Gaussians(self.counts[index], self.sums[index], self.squares[index])

    def __add__(self, other: "Gaussians") -> "Gaussians":
        return Gaussians(self.counts + other.counts, self.sums + other.sums, self.squares + other.squares)

    def merged(self, labels: IntArray) -> "Gaussians":
        """Return the statistics of the unions 0..max; ``labels`` has one label per set."""
        member = (labels == np.arange(labels.max() + 1)[:, None]).astype(np.float64)
        return Gaussians(member @ self.counts, member @ self.sums, np.tensordot(member, self.squares, axes=1))

    def scaled(self, factors: FloatArray) -> "Gaussians":
        """Return the same Gaussians, as if set i had ``factors[i]`` times as many vectors."""
        return Gaussians(
            self.counts * factors, self.sums * factors[:, None], self.squares * factors[:, None, None]
        )

    def means(self) -> FloatArray:
        """Return float64[k, d]."""
        return np.asarray(self.sums / self.counts[:, None])

    def covariances(self) -> FloatArray:
        """Return float64[k, d, d], always invertible."""
        means = self.means()
        scatter = self.squares / self.counts[:, None, None] - means[:, :, None] * means[:, None, :]
        return np.asarray(scatter + _RIDGE * np.eye(means.shape[1]))

    def log_determinants(self) -> FloatArray:
        """Return float64[k]: the log-determinant of each covariance."""
        return np.asarray(np.linalg.slogdet(self.covariances())[1])

    def log_likelihoods(self, vectors: FloatArray) -> FloatArray:
        """Return float64[n, k]: the log-likelihood of each vector under each Gaussian, without the constant term."""
        columns = []
        for mean, covariance, log_determinant in zip(
            self.means(), self.covariances(), self.log_determinants(), strict=True
        ):
            whitened = np.linalg.solve(np.linalg.cholesky(covariance), (vectors - mean).T)
            columns.append(-0.5 * ((whitened**2).sum(axis=0) + log_determinant))
        return np.stack(columns, axis=1)
