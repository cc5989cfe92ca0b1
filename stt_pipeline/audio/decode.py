"""Decode any audio or video file to the samples that speech models take. Nothing is cached here."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.channels import Layout, Mixer, repair_inverted
from stt_pipeline.audio.container import Clock, open_audio

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

SAMPLE_RATE = 16_000
"""Sample rate of Whisper and Silero VAD, in Hz."""

# Frames are joined to blocks of this many samples: resampling single frames takes twice the time.
_BLOCK = 1 << 19

# Loud floating point mixes exceed full scale, but by at most 18 dB. Larger values are not audio.
_MAX_LEVEL = 8.0


def decode(path: Path, sample_rate: int = SAMPLE_RATE) -> npt.NDArray[np.float32]:
    """Return all of :func:`decode_blocks` in one array, float32 ``(samples,)``; an hour is 230 MB."""
    samples = bytearray()  # grows in place, and becomes the array without a copy
    for block in decode_blocks(path, sample_rate):
        samples += block.tobytes()
    return np.frombuffer(samples, dtype=np.float32)


def decode_blocks(
    path: Path, sample_rate: int = SAMPLE_RATE, layout: Layout = "mono"
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the first audio track of ``path`` in blocks of several seconds; no block is empty.

    Mono blocks are float32 ``(samples,)`` with all channels mixed; stereo blocks are ``(samples, 2)``, where a mono track
    fills both channels. Full scale is 1. The mono mix of loud stereo can reach 1.42; the stereo form of a mono track is
    lower by the same factor. A mix of more than two equal channels keeps their level. If the second stereo channel is the
    inverse of the first, the mono mix is the louder channel. NaN becomes silence, and values are clipped to ±8.

    Sample ``n`` plays at ``n / sample_rate`` seconds. Damaged packets are skipped. Gaps in the file's timestamps (lost
    packets, or a recorder that skips silence) become silence. A truncated file gives its remaining audio. One resampler
    runs over the whole file, so there are no artifacts between blocks.

    Raises:
        UnreadableError: the file is empty or cannot be decoded as audio; discard the blocks so far.
        NoAudioError: no audio track, or an empty track.
    """
    run: _Run | None = None
    clock = Clock()
    with open_audio(path) as track:
        for frame in itertools.chain.from_iterable(map(track.frames, track.packets())):
            pause = clock.advance(frame.time, frame.samples / frame.sample_rate)
            if run is None or pause or not run.accepts(frame):
                if run is not None:
                    yield from run.rest()
                yield from _silence(round(pause * sample_rate), layout)
                run = _Run(frame, sample_rate, layout)
            yield from run.feed(frame)
        if run is not None:
            yield from run.rest()
        track.check()


def _silence(samples: int, layout: Layout) -> Iterator[npt.NDArray[np.float32]]:
    for first in range(0, samples, _BLOCK):
        length = min(_BLOCK, samples - first)
        yield np.zeros(length if layout == "mono" else (length, 2), np.float32)


class _Run:
    """Converts consecutive frames of one format, without pauses between them, to float32 blocks."""

    def __init__(self, first: "AudioFrame", sample_rate: int, layout: Layout) -> None:
        from av.audio.fifo import AudioFifo
        from av.audio.resampler import AudioResampler

        self._format = _format(first)
        self._fifo = AudioFifo()
        channels = first.layout.nb_channels
        self._resampler = (
            AudioResampler(format="flt", layout=layout, rate=sample_rate)
            if channels <= 2
            else Mixer(first, sample_rate, layout)
        )
        self._may_be_inverted = channels == 2 and layout == "mono"
        self._block = _BLOCK if channels <= 2 else 2 * _BLOCK // channels  # the same bytes in memory
        self._shape = (-1,) if layout == "mono" else (-1, 2)

    def accepts(self, frame: "AudioFrame") -> bool:
        """Return whether ``frame`` has the format of this run; joined recordings can change it midway."""
        return _format(frame) == self._format

    def feed(self, frame: "AudioFrame") -> Iterator[npt.NDArray[np.float32]]:
        """Add ``frame``; yield the blocks that are complete, often none."""
        frame.pts = None  # the caller follows the timestamps; the FIFO raises on jitter
        self._fifo.write(frame)
        if self._fifo.samples >= self._block:
            yield from self._resampled(self._fifo.read(self._block))

    def rest(self) -> Iterator[npt.NDArray[np.float32]]:
        """Flush: yield the remaining blocks."""
        yield from self._resampled(self._fifo.read())
        yield from self._resampled(None)

    def _resampled(self, frame: "AudioFrame | None") -> Iterator[npt.NDArray[np.float32]]:
        if frame is not None and self._may_be_inverted:
            repair_inverted(frame)
        for block in self._resampler.resample(frame):
            if block.samples:
                yield _clip(block.to_ndarray().reshape(self._shape).astype(np.float32, copy=False))


def _clip(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Replace NaN and clip: one such sample would make a model's output for its whole window useless."""
    if samples.min() >= -_MAX_LEVEL and samples.max() <= _MAX_LEVEL:  # false if there is a NaN
        return samples
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(finite, -_MAX_LEVEL, _MAX_LEVEL)


def _format(frame: "AudioFrame") -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate
