"""The features of all that is said in a recording, on disk: ten hours of them need not fit into memory.

Reads a recording once, block by block. Knows no speakers.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.sound import Samples, Sound
from stt_pipeline.errors import ModelError
from stt_pipeline.speech.diarization.features import FRAME_RATE, Cepstra
from stt_pipeline.speech.diarization.gaussians import FloatArray
from stt_pipeline.speech.diarization.voice_activity import Region

_STORED = np.dtype(
    np.float16
)  # ten hours are 115 MB; a rounding of 0.05 % is far below what tells voices apart
_AT_ONCE = 30_000  # frames copied at once: 1 MB


class Listener(Protocol):
    """Hears a recording block by block, and says at its end where somebody speaks."""

    def feed(self, block: Samples) -> None:
        """Hear the next block, float32 ``(samples,)``, 16 kHz."""
        ...

    def rest(self) -> Sequence[Region]:
        """Return the stretches to keep features of, in order of time; they must not overlap."""
        ...


class SpokenFeatures:
    """Features of a recording's speech, all stretches one after the other, scaled to mean 0 and variance 1.

    A context manager that owns a temporary file.

    Attributes:
        kept: int ``(stretches,)``, which of the listener's stretches there are features of: those that are not empty.
        bounds: int ``(stretches, 2)``, first and end frame of each, in the recording.
        lengths: int ``(stretches,)``, in frames.
    """

    def __init__(self, sound: Sound, listener: Listener) -> None:
        """Hear all of ``sound``, together with who says where there is speech.

        Raises:
            FileError: the recording cannot be read.
            ModelError: there is no room in the temporary folder.
        """
        with _disk_errors():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        try:
            regions, frames, self._dimensions = self._write(sound, listener)
            bounds = np.rint(np.array(regions).reshape(-1, 2) * FRAME_RATE).astype(np.intp).clip(0, frames)
            self.kept = np.flatnonzero(bounds[:, 1] > bounds[:, 0])
            self.bounds = bounds[self.kept]
            self.lengths = self.bounds[:, 1] - self.bounds[:, 0]
            self._mean, self._deviation = self._keep_speech()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "SpokenFeatures":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return int(self.lengths.sum())

    def read(self, first: int, end: int) -> FloatArray:
        """Return the features of the spoken frames ``first`` to ``end``, float32 ``(frames, d)``; pauses do not count."""
        return (self._read(first, end) - self._mean) / self._deviation

    def _write(self, sound: Sound, listener: Listener) -> tuple[Sequence[Region], int, int]:
        cepstra = Cepstra()
        frames = 0
        for block in sound.blocks():
            listener.feed(block)
            found = cepstra.feed(block)
            frames += len(found)
            self._store(found)
        found = cepstra.rest()
        self._store(found)
        return listener.rest(), frames + len(found), found.shape[1]

    def _keep_speech(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Move the speech to the beginning of the file; return its mean and its deviation."""
        sums = np.zeros((2, self._dimensions))
        done = 0
        for start, end in self.bounds.tolist():
            for first in range(start, end, _AT_ONCE):
                part = self._read(first, min(first + _AT_ONCE, end))
                sums += part.sum(axis=0, dtype=np.float64), np.square(part, dtype=np.float64).sum(axis=0)
                self._file.seek(done * self._dimensions * _STORED.itemsize)
                self._store(part)
                done += len(part)
        self._file.truncate(done * self._dimensions * _STORED.itemsize)
        mean, square = sums / max(done, 1)
        deviation = np.sqrt(np.maximum(square - mean**2, 0)) + 1e-6
        return mean.astype(np.float32), deviation.astype(np.float32)

    def _store(self, features: npt.NDArray[np.float32]) -> None:
        with _disk_errors():
            features.astype(_STORED).tofile(self._file)

    def _read(self, first: int, end: int) -> npt.NDArray[np.float32]:
        self._file.seek(first * self._dimensions * _STORED.itemsize)
        stored = np.fromfile(self._file, _STORED, (end - first) * self._dimensions)
        return stored.reshape(-1, self._dimensions).astype(np.float32)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:  # numpy's, of a full disk, says nothing but two numbers
        raise ModelError(
            f"What tells the voices apart does not fit into the temporary folder {tempfile.tempdir or ''} ({error}): free some "
            "space there, or set TMPDIR to a folder with more; 12 MB for an hour of recording are enough."
        ) from error
