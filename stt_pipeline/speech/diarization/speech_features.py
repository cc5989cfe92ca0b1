"""The features of all speech in a recording, stored on disk: ten hours of them need not fit into memory.

Reads the recording once, block by block. Speakers are not known here.
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

# ten hours are 115 MB; the rounding error of 0.05 % is far below the differences between voices
_STORED = np.dtype(np.float16)
_COPIED_FRAMES = 30_000  # frames copied at a time: 1 MB


class RegionDetector(Protocol):
    """Reads a recording block by block, and returns its speech regions at the end."""

    def feed(self, block: Samples) -> None:
        """Process the next block, float32 ``(samples,)``, 16 kHz."""
        ...

    def finish(self) -> Sequence[Region]:
        """Return the regions whose features are kept, in order of time and without overlap."""
        ...


class SpeechFeatures:
    """Features of a recording's speech, all regions concatenated, scaled to mean 0 and variance 1.

    A context manager that owns a temporary file.

    Attributes:
        kept: int ``(regions,)``, indices of the detector's regions that have features: those that are not empty.
        bounds: int ``(regions, 2)``, first and end frame of each, in the recording.
        lengths: int ``(regions,)``, in frames.
    """

    def __init__(self, sound: Sound, detector: RegionDetector) -> None:
        """Read all of ``sound``; ``detector`` finds the speech in it.

        Raises:
            FileError: the recording cannot be read.
            ModelError: the temporary folder is full.
        """
        with _disk_errors():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        try:
            regions, frames, self._dimensions = self._write(sound, detector)
            bounds = np.rint(np.array(regions).reshape(-1, 2) * FRAME_RATE).astype(np.intp).clip(0, frames)
            self.kept = np.flatnonzero(bounds[:, 1] > bounds[:, 0])
            self.bounds = bounds[self.kept]
            self.lengths = self.bounds[:, 1] - self.bounds[:, 0]
            self._mean, self._deviation = self._keep_speech()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "SpeechFeatures":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return int(self.lengths.sum())

    def read(self, first: int, end: int) -> FloatArray:
        """Return the features of the speech frames ``first`` to ``end``, float32 ``(frames, d)``; pauses do not count."""
        return (self._read(first, end) - self._mean) / self._deviation

    def _write(self, sound: Sound, detector: RegionDetector) -> tuple[Sequence[Region], int, int]:
        cepstra = Cepstra()
        frames = 0
        for block in sound.blocks():
            detector.feed(block)
            found = cepstra.feed(block)
            frames += len(found)
            self._store(found)
        found = cepstra.finish()
        self._store(found)
        return detector.finish(), frames + len(found), found.shape[1]

    def _keep_speech(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Move the speech frames to the beginning of the file; return their mean and standard deviation."""
        sums = np.zeros((2, self._dimensions))
        done = 0
        for start, end in self.bounds.tolist():
            for first in range(start, end, _COPIED_FRAMES):
                part = self._read(first, min(first + _COPIED_FRAMES, end))
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
    except OSError as error:  # for a full disk, numpy's message contains two numbers only
        raise ModelError(
            f"The diarization features do not fit into the temporary folder {tempfile.tempdir or ''} ({error}): free some "
            "space there, or set TMPDIR to a folder with more; 12 MB per hour of recording are enough."
        ) from error
