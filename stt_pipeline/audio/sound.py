"""The audio that speech models take: an object that gives the blocks of a recording, and can be read several times.

`decode` handles file formats; the sources handle where files are.
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
from stt_pipeline.audio.findings import Findings
from stt_pipeline.audio.sandbox.messages import Layout
from stt_pipeline.settings import MAX_AUDIO_HOURS

Samples = npt.NDArray[np.float32]
"""Float32 ``(samples,)``, 16 kHz, mono; full scale is 1."""

_BLOCK = 30 * SAMPLE_RATE  # samples


class Sound(Protocol):
    """The audio of a recording. It does not have to fit into memory."""

    def blocks(self) -> Iterator[Samples]:
        """Yield the mono samples, float32 ``(samples,)`` at 16 kHz, in blocks of any length above 0.

        Raises:
            FileError: the recording cannot be read; it can be raised after some blocks.
        """
        ...

    def stereo_blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield float32 ``(samples, 2)`` at 16 kHz; a mono recording has the same samples in both channels."""
        ...

    def channel_blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield float32 ``(samples, channels)`` at 16 kHz, each channel by itself; their number does not change."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the transcript should know about the recording; complete when all blocks were read once."""
        ...

    def as_file(self) -> AbstractContextManager[Path]:
        """Return a context manager that yields a path of the recording, for backends that upload a file.

        The file may be temporary, and is then deleted at the end of the context.
        """
        ...


class SoundFile:
    """An audio track of a local file, decoded again for each iteration."""

    def __init__(self, path: Path, *, max_hours: float = MAX_AUDIO_HOURS, audio_track: str = "auto") -> None:
        """Nothing is opened before the first block is read; a longer recording fails then.

        ``audio_track`` is as for :func:`stt_pipeline.audio.decode.decode_blocks`.
        """
        self._path = path
        self._max_hours = max_hours
        self._audio_track = audio_track
        self._notes: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """See :attr:`Sound.notes`."""
        return self._notes

    def blocks(self) -> Iterator[Samples]:
        """See :meth:`Sound.blocks`."""
        return self._decoded("mono")

    def stereo_blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """See :meth:`Sound.stereo_blocks`."""
        return self._decoded("stereo")

    def _decoded(self, layout: Layout) -> Iterator[npt.NDArray[np.float32]]:
        return decode_blocks(
            self._path,
            layout=layout,
            max_hours=self._max_hours,
            audio_track=self._audio_track,
            on_end=self._keep_notes,
        )

    def _keep_notes(self, findings: Findings) -> None:
        self._notes = findings.notes()

    def channel_blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """See :meth:`Sound.channel_blocks`."""
        return self._decoded("apart")

    def as_file(self) -> AbstractContextManager[Path]:
        """See :meth:`Sound.as_file`; the file itself."""
        return nullcontext(self._path)


class SoundInMemory:
    """Decoded samples in memory."""

    def __init__(self, samples: npt.NDArray[np.float32]) -> None:
        """Take float32 ``(samples,)``, or ``(samples, channels)``, at 16 kHz."""
        self._samples = samples

    @property
    def notes(self) -> tuple[str, ...]:
        """See :attr:`Sound.notes`: none."""
        return ()

    def blocks(self) -> Iterator[Samples]:
        """See :meth:`Sound.blocks`."""
        mono = self._samples if self._samples.ndim == 1 else self._samples.mean(axis=1)
        return (mono[first : first + _BLOCK] for first in range(0, len(mono), _BLOCK))

    def stereo_blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """See :meth:`Sound.stereo_blocks`."""
        return (
            block if block.shape[1] == 2 else np.repeat(block.mean(axis=1, keepdims=True), 2, axis=1)
            for block in self.channel_blocks()
        )

    def channel_blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """See :meth:`Sound.channel_blocks`."""
        if self._samples.ndim == 1:
            return (block[:, None] for block in self.blocks())
        return (self._samples[first : first + _BLOCK] for first in range(0, len(self._samples), _BLOCK))

    @contextmanager
    def as_file(self) -> Iterator[Path]:
        """See :meth:`Sound.as_file`; a temporary WAV of 16 bits."""
        with tempfile.TemporaryDirectory(prefix="stt-sound-") as folder:
            path = Path(folder) / "recording.wav"
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1 if self._samples.ndim == 1 else self._samples.shape[1])
                file.setsampwidth(2)
                file.setframerate(SAMPLE_RATE)
                file.writeframes((np.clip(self._samples, -1.0, 1.0) * 32767).round().astype("<i2").tobytes())
            yield path


def all_samples(sound: Sound) -> Samples:
    """Return all mono samples of ``sound`` in one array; an hour is 230 MB."""
    blocks = list(sound.blocks())
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
