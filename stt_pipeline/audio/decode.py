"""From any sound or film file to the samples that speech models hear. Nothing is cached here."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.channels import Layout, Mixer, turn_back
from stt_pipeline.audio.container import Clock, open_audio

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

SAMPLE_RATE = 16_000
"""Rate that Whisper and Silero VAD hear, in Hz."""

# Frames are joined to blocks of this many samples: resampling each alone takes twice the time.
_BLOCK = 1 << 19

# Loud mixes of floating point numbers pass full scale, but not by more than 18 dB; what does is no sound.
_LOUDEST = 8.0


def decode(path: Path, sample_rate: int = SAMPLE_RATE) -> npt.NDArray[np.float32]:
    """Return all of :func:`decode_blocks` in one array, float32 ``(samples,)``; an hour is 230 MB."""
    samples = bytearray()  # grows in place, and becomes the array without a copy
    for block in decode_blocks(path, sample_rate):
        samples += block.tobytes()
    return np.frombuffer(samples, dtype=np.float32)


def decode_blocks(
    path: Path, sample_rate: int = SAMPLE_RATE, layout: Layout = "mono"
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the first audio track of ``path``, block after block, each some seconds long and none empty.

    Mono blocks are float32 ``(samples,)``, all channels mixed; stereo ones ``(samples, 2)``, a mono track twice. Full
    scale is 1; the two channels of loud stereo add up to a little more, up to 1.42, and stereo of a mono track is as much
    quieter. More channels are mixed so that equal ones stay as loud as they are. Where the second channel of stereo is
    the first turned around, the mix is the louder one. Files of floating point numbers may hold what is no number or
    beyond all scale; it becomes silence, or 8 at most.

    Sample ``n`` is what plays at ``n / sample_rate`` seconds: damaged packets are skipped, and where the file's clock
    shows a pause (lost packets, or a recorder that writes nothing while nobody talks) there is silence. A truncated
    file gives what is left of it. One resampler goes through the whole file, so blocks have no seams.

    Raises:
        UnreadableError: empty, or not audio that can be decoded; what was yielded before is not to be relied upon.
        NoAudioError: no audio track, or a track without any sound in it.
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
    """Frames of one format that follow each other without a pause, turned into float32 blocks."""

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
        self._may_cancel = channels == 2 and layout == "mono"
        self._block = _BLOCK if channels <= 2 else 2 * _BLOCK // channels  # of the same size in memory
        self._shape = (-1,) if layout == "mono" else (-1, 2)

    def accepts(self, frame: "AudioFrame") -> bool:
        """Say whether ``frame`` has the format of this run; concatenated recordings may change it midway."""
        return _format(frame) == self._format

    def feed(self, frame: "AudioFrame") -> Iterator[npt.NDArray[np.float32]]:
        """Take ``frame``; yield what has come out so far, often nothing."""
        frame.pts = None  # the clock is our caller's; the fifo would refuse jitter
        self._fifo.write(frame)
        if self._fifo.samples >= self._block:
            yield from self._resampled(self._fifo.read(self._block))

    def rest(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield all that is left; the run is over."""
        yield from self._resampled(self._fifo.read())
        yield from self._resampled(None)

    def _resampled(self, frame: "AudioFrame | None") -> Iterator[npt.NDArray[np.float32]]:
        if frame is not None and self._may_cancel:
            turn_back(frame)
        for block in self._resampler.resample(frame):
            if block.samples:
                yield _cleaned(block.to_ndarray().reshape(self._shape).astype(np.float32, copy=False))


def _cleaned(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return samples that can be reckoned with; one that cannot would spoil all that is heard together with it."""
    if samples.min() >= -_LOUDEST and samples.max() <= _LOUDEST:  # not so if one is no number
        return samples
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(finite, -_LOUDEST, _LOUDEST)


def _format(frame: "AudioFrame") -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate
