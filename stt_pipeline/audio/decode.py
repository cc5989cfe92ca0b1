"""From any sound or film file to the samples that speech models hear. Nothing is cached here."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.container import Clock, open_audio

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

SAMPLE_RATE = 16_000
"""Rate that Whisper and Silero VAD hear, in Hz."""

# Frames are joined to blocks of this many samples: resampling each alone takes twice the time.
_BLOCK = 1 << 19


def decode(path: Path, sample_rate: int = SAMPLE_RATE) -> npt.NDArray[np.float32]:
    """Return the first audio track of ``path``, mixed to mono, as float32 ``(samples,)``.

    Full scale is 1; equal channels add up to a little more, up to 1.42 for loud stereo.

    Sample ``n`` is what plays at ``n / sample_rate`` seconds: damaged packets are skipped, and where the file's clock
    shows a pause (lost packets, or a recorder that writes nothing while nobody talks) there is silence. A truncated
    file gives what is left of it.

    Raises:
        UnreadableError: empty, or not audio that can be decoded.
        NoAudioError: no audio track, or a track without any sound in it.
    """
    samples = bytearray()  # grows in place, and becomes the array without a copy: an hour is 230 MB
    run: _Run | None = None
    clock = Clock()
    with open_audio(path) as track:
        for frame in itertools.chain.from_iterable(map(track.frames, track.packets())):
            pause = clock.advance(frame.time, frame.samples / frame.sample_rate)
            if run is None or pause or not run.accepts(frame):
                samples += run.rest() if run is not None else b""
                samples += bytes(4 * round(pause * sample_rate))
                run = _Run(frame, sample_rate)
            samples += run.feed(frame)
        samples += run.rest() if run is not None else b""
        track.check()
    return np.frombuffer(samples, dtype=np.float32)


class _Run:
    """Frames of one format that follow each other without a pause, turned into mono float32 bytes."""

    def __init__(self, first: "AudioFrame", sample_rate: int) -> None:
        from av.audio.fifo import AudioFifo
        from av.audio.resampler import AudioResampler

        self._format = _format(first)
        self._fifo = AudioFifo()
        self._resampler = AudioResampler(format="flt", layout="mono", rate=sample_rate)

    def accepts(self, frame: "AudioFrame") -> bool:
        """Say whether ``frame`` has the format of this run; concatenated recordings may change it midway."""
        return _format(frame) == self._format

    def feed(self, frame: "AudioFrame") -> bytes:
        """Take ``frame``; return what has come out so far, often nothing."""
        frame.pts = None  # the clock is our caller's; the fifo would refuse jitter
        self._fifo.write(frame)
        return self._resampled(self._fifo.read(_BLOCK)) if self._fifo.samples >= _BLOCK else b""

    def rest(self) -> bytes:
        """Return all that is left; the run is over."""
        return self._resampled(self._fifo.read()) + self._resampled(None)

    def _resampled(self, frame: "AudioFrame | None") -> bytes:
        return b"".join(block.to_ndarray().tobytes() for block in self._resampler.resample(frame))


def _format(frame: "AudioFrame") -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate
