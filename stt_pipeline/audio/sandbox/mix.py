"""Add up several audio tracks that arrive in blocks of any length. Memory is bounded, and so is the work for each sample."""

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
        self._given = self._end = 0  # samples given out, and of the longest track
        self._first = 0  # sample at the start of the buffer
        self._buffer: npt.NDArray[np.float32] | None = None

    def add(self, track: int, block: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
        """Add the next samples of ``track``, from 0; yield what is complete."""
        start = max(self._ends[track], self._given)
        late = block[start - self._ends[track] :]
        self._ends[track] += len(block)
        end = start + len(late)
        if len(late):
            buffer = self._with_room(end, late)
            buffer[start - self._first : end - self._first] += late
            self._end = max(self._end, end)
        is_full = self._end - self._given > _MOST_WAITING
        yield from self._give(self._end - _MOST_WAITING // 2 if is_full else min(self._ends))

    def rest(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the end of the longest track."""
        yield from self._give(self._end)

    def _with_room(self, end: int, like: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the buffer, moved to the first waiting sample and enlarged if it does not reach to ``end``.

        The new one has twice the waiting samples, so a sample is moved once or twice, whatever the length of the blocks.
        """
        if self._buffer is None or end - self._first > len(self._buffer):
            waiting = like[:0] if self._buffer is None else self._buffer[self._given - self._first :]
            waiting = waiting[: self._end - self._given]
            size = max(2 * len(waiting), end - self._given) + _BLOCK
            self._buffer = np.zeros((size, *like.shape[1:]), np.float32)
            self._buffer[: len(waiting)] = waiting
            self._first = self._given
        return self._buffer

    def _give(self, until: int) -> Iterator[npt.NDArray[np.float32]]:
        while self._buffer is not None and self._given < until:
            end = min(until, self._given + _BLOCK)
            ready = self._buffer[self._given - self._first : end - self._first].copy()
            self._given = end
            yield ready
