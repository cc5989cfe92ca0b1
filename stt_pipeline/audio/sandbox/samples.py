"""Samples of a track: resampled to float32 blocks, with silence for gaps in the timestamps. Runs in the decoder's child."""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.sandbox.channels import Mixer, repair_inverted
from stt_pipeline.audio.sandbox.container import Clock, Media, open_audio
from stt_pipeline.audio.sandbox.messages import Layout

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

# Frames are joined to blocks of this many samples: resampling single frames takes twice the time.
_BLOCK = 1 << 19

# Loud floating point mixes exceed full scale, but by at most 18 dB. Larger values are not audio.
_MAX_LEVEL = 8.0


def sample_blocks(media: Media, sample_rate: int, layout: Layout) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the blocks that :func:`stt_pipeline.audio.decode.decode_blocks` describes, always ``(samples, channels)``.

    Raises:
        UnreadableError: the file cannot be decoded as audio; discard the blocks so far.
        NoAudioError: no audio track, or an empty track.
    """
    run: _Run | None = None
    clock = Clock()
    channels = {"mono": 1, "stereo": 2, "apart": 0}[layout]
    with open_audio(media) as track:
        for frame in itertools.chain.from_iterable(map(track.frames, track.packets())):
            pause = clock.advance(frame.time, frame.samples / frame.sample_rate)
            channels = channels or frame.layout.nb_channels
            if run is None or pause or not run.accepts(frame):
                if run is not None:
                    yield from run.rest()
                yield from _silence(round(pause * sample_rate), channels)
                run = _Run(frame, sample_rate, layout, channels)
            yield from run.feed(frame)
        if run is not None:
            yield from run.rest()
        track.check()


def _silence(samples: int, channels: int) -> Iterator[npt.NDArray[np.float32]]:
    block = _BLOCK if channels <= 2 else 2 * _BLOCK // channels
    for first in range(0, samples, block):
        yield np.zeros((min(block, samples - first), channels), np.float32)


class _Run:
    """Converts consecutive frames of one format, without pauses between them, to float32 blocks."""

    def __init__(self, first: "AudioFrame", sample_rate: int, layout: Layout, wanted: int) -> None:
        from av.audio.fifo import AudioFifo
        from av.audio.resampler import AudioResampler

        self._format = _format(first)
        self._fifo = AudioFifo()
        channels = first.layout.nb_channels
        self._resampler = (
            AudioResampler(
                format="flt", layout=first.layout if layout == "apart" else layout, rate=sample_rate
            )
            if channels <= 2 or layout == "apart"
            else Mixer(first, sample_rate, layout)
        )
        self._may_be_inverted = channels == 2 and layout == "mono"
        self._wanted = wanted
        block = _BLOCK if channels <= 2 else 2 * _BLOCK // channels  # the same bytes in memory
        self._block = min(block, block * first.sample_rate // sample_rate)  # of the output, too
        self._channels = channels if layout == "apart" else wanted

    def accepts(self, frame: "AudioFrame") -> bool:
        """Return whether ``frame`` has the format of this run; joined recordings can change it midway."""
        return _format(frame) == self._format

    def feed(self, frame: "AudioFrame") -> Iterator[npt.NDArray[np.float32]]:
        """Add ``frame``; yield the blocks that are complete, often none."""
        frame.pts = None  # the caller follows the timestamps; the FIFO raises on jitter
        self._fifo.write(frame)
        while self._fifo.samples >= self._block:
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
                samples = block.to_ndarray().reshape(-1, self._channels).astype(np.float32, copy=False)
                if self._channels != self._wanted:  # the format changed midway
                    samples = np.repeat(samples.mean(axis=1, keepdims=True), self._wanted, axis=1)
                yield _clip(samples)


def _clip(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Replace NaN and clip: one such sample would make a model's output for its whole window useless."""
    if samples.min() >= -_MAX_LEVEL and samples.max() <= _MAX_LEVEL:  # false if there is a NaN
        return samples
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(finite, -_MAX_LEVEL, _MAX_LEVEL)


def _format(frame: "AudioFrame") -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate
