"""Sounds and short ways to the engine, for its tests."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import numpy as np

from stt_pipeline.audio.sound import Sound, SoundInMemory
from stt_pipeline.speech.recordings import Recording, Transcriber, TranscriptionOptions
from stt_pipeline.speech.transcript import Transcript

RATE = 16_000


class InBlocks:
    """Samples that come in blocks of one length."""

    def __init__(self, samples: np.ndarray, length: int) -> None:
        self._samples, self._length = samples, length

    def blocks(self) -> Iterator[np.ndarray]:
        for first in range(0, len(self._samples), self._length):
            yield self._samples[first : first + self._length]

    def stereo_blocks(self) -> Iterator[np.ndarray]:
        for block in self.blocks():
            yield np.stack([block, block], axis=1)


def silence(seconds: float) -> np.ndarray:
    """Return digital silence."""
    return np.zeros(round(seconds * RATE), np.float32)


def lent(sound: Sound) -> AbstractContextManager[Sound]:
    """Lend a sound that need not be fetched."""
    return nullcontext(sound)


def recording(key: object, samples: np.ndarray, options: TranscriptionOptions | None = None) -> Recording:
    """Return ``samples`` as a recording."""
    return Recording(key, partial(lent, SoundInMemory(samples)), options or TranscriptionOptions())


def results(transcriber: Transcriber, recordings: Sequence[Recording]) -> dict[object, Transcript]:
    """Return the transcript of each recording by its key; none may fail."""
    found = {}
    for outcome in transcriber.transcribe(recordings):
        assert isinstance(outcome.result, Transcript), outcome.result
        found[outcome.recording.key] = outcome.result
    assert len(found) == len(recordings)
    return found
