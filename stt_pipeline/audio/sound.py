"""A recording as the speech tools hear it: block after block, from its beginning, as often as they like.

What a file looks like inside is for `decode`; where it lies, for the sources.
"""

import tempfile
import wave
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE, decode_blocks

Samples = npt.NDArray[np.float32]
"""Float32 ``(samples,)``, 16 kHz, mono; full scale is 1."""

_BLOCK = 30 * SAMPLE_RATE  # samples


class Sound(Protocol):
    """A recording of any length that need not fit into memory."""

    def blocks(self) -> Iterator[Samples]:
        """Yield the mono samples, float32 ``(samples,)`` at 16 kHz, in blocks of any length above 0.

        Raises:
            FileError: the recording cannot be read; it may come after some blocks.
        """
        ...

    def stereo_blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield float32 ``(samples, 2)`` at 16 kHz; both channels are the same where the recording has one."""
        ...

    def as_file(self) -> AbstractContextManager[Path]:
        """Return a context manager that yields a path of the recording, for backends that upload a file.

        The file may be temporary, and is then deleted at the end of the context.
        """
        ...


class SoundFile:
    """The first audio track of a file on this machine, decoded anew each time it is heard."""

    def __init__(self, path: Path) -> None:
        """Hear ``path``; it is opened when the first block is asked for."""
        self._path = path

    def blocks(self) -> Iterator[Samples]:
        """See :meth:`Sound.blocks`."""
        return decode_blocks(self._path)

    def stereo_blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """See :meth:`Sound.stereo_blocks`."""
        return decode_blocks(self._path, layout="stereo")

    def as_file(self) -> AbstractContextManager[Path]:
        """See :meth:`Sound.as_file`; the file itself."""
        return nullcontext(self._path)


class SoundInMemory:
    """Samples that are there already."""

    def __init__(self, samples: npt.NDArray[np.float32]) -> None:
        """Hear ``samples``: float32 ``(samples,)``, or ``(samples, 2)`` of a stereo recording, 16 kHz."""
        self._samples = samples

    def blocks(self) -> Iterator[Samples]:
        """See :meth:`Sound.blocks`."""
        mono = self._samples if self._samples.ndim == 1 else self._samples.mean(axis=1)
        return (mono[first : first + _BLOCK] for first in range(0, len(mono), _BLOCK))

    def stereo_blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """See :meth:`Sound.stereo_blocks`."""
        stereo = np.stack([self._samples] * 2, axis=1) if self._samples.ndim == 1 else self._samples
        return (stereo[first : first + _BLOCK] for first in range(0, len(stereo), _BLOCK))

    @contextmanager
    def as_file(self) -> Iterator[Path]:
        """See :meth:`Sound.as_file`; a temporary WAV of 16 bits."""
        with tempfile.TemporaryDirectory(prefix="stt-sound-") as folder:
            path = Path(folder) / "recording.wav"
            with wave.open(str(path), "wb") as file:
                file.setnchannels(self._samples.ndim)
                file.setsampwidth(2)
                file.setframerate(SAMPLE_RATE)
                file.writeframes((np.clip(self._samples, -1.0, 1.0) * 32767).round().astype("<i2").tobytes())
            yield path


def all_samples(sound: Sound) -> Samples:
    """Return the whole of ``sound`` in one array; an hour is 230 MB."""
    blocks = list(sound.blocks())
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
