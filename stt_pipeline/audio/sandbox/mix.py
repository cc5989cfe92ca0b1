"""Add up several audio tracks that arrive in blocks of any length. Memory is bounded."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

# Samples that wait for a track that is behind: 8.7 minutes at 16 kHz. What comes later than that is dropped.
_MOST_WAITING = 1 << 23

_BLOCK = 1 << 19  # samples


class TrackMix:
    """The sum of tracks that all begin at 0. The caller clips it."""

    def __init__(self, tracks: int) -> None:
        """Nothing is given out before each of ``tracks`` has samples, or one has many."""
        self._ends = [0] * tracks
        self._given = 0
        self._sum: npt.NDArray[np.float32] | None = None

    def add(self, track: int, block: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
        """Add the next samples of ``track``, from 0; yield what is complete."""
        start = self._ends[track] - self._given
        self._ends[track] += len(block)
        if start < 0:
            start, block = 0, block[-start:]
        if self._sum is None:
            self._sum = np.zeros_like(block[:0])
        if (short := start + len(block) - len(self._sum)) > 0:
            self._sum = np.concatenate([self._sum, np.zeros((short, *block.shape[1:]), np.float32)])
        self._sum[start : start + len(block)] += block
        is_full = len(self._sum) > _MOST_WAITING
        yield from self._give(len(self._sum) if is_full else min(self._ends) - self._given)

    def rest(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the end of the longest track."""
        if self._sum is not None:
            yield from self._give(len(self._sum))

    def _give(self, count: int) -> Iterator[npt.NDArray[np.float32]]:
        if self._sum is None or count <= 0:
            return
        ready, self._sum = self._sum[:count], self._sum[count:].copy()
        self._given += count
        for first in range(0, count, _BLOCK):
            yield ready[first : first + _BLOCK]
