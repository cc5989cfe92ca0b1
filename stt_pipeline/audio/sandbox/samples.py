"""Samples of a track: resampled to float32 blocks, with silence for gaps in the timestamps. Runs in the decoder's child."""

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.sandbox.channels import Mixer, repair_inverted
from stt_pipeline.audio.sandbox.container import Clock, Media, Track, open_audio
from stt_pipeline.audio.sandbox.messages import Layout
from stt_pipeline.audio.sandbox.mix import TrackMix

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

# Frames are joined to blocks of this many samples: resampling single frames takes twice the time.
_BLOCK = 1 << 19

# Seconds. Lengths in headers are rounded, and codecs pad the end; for damage there is other evidence.
_LEAST_MISSING, _LEAST_DAMAGED = 1.0, 0.5

_FRAMES_AFTER_DAMAGE = 5  # decoders are some frames behind the packets
_PLACES = 3  # of damage that are named

# Loud floating point mixes exceed full scale, but by at most 18 dB. Larger values are not audio.
_MAX_LEVEL = 8.0


def sample_blocks(
    media: Media, sample_rate: int, layout: Layout, audio_track: str = "auto"
) -> Generator[npt.NDArray[np.float32], None, dict[str, Any]]:
    """Yield the blocks that :func:`stt_pipeline.audio.decode.decode_blocks` describes; return the facts of `Findings`.

    Blocks are always ``(samples, channels)``. Several tracks that are mixed have one channel where channels are asked for apart.

    Raises:
        UnreadableError: the file cannot be decoded as audio; discard the blocks so far.
        NoAudioError: no audio track, or an empty track.
    """
    with open_audio(media, audio_track) as track:
        if layout == "apart" and len(track.choice.streams) > 1:
            layout = "mono"
        timelines = [_Timeline(track.clock(one), sample_rate, layout) for one in track.choice.streams]
        if len(timelines) == 1:
            for packet in track.packets():
                yield from timelines[0].feed(track.frames(packet), track)
            yield from timelines[0].rest()
        else:
            yield from _mixed(track, timelines)
        track.check()
        return track.choice.facts() | _missing(track, timelines)


def _mixed(track: Track, timelines: "list[_Timeline]") -> Iterator[npt.NDArray[np.float32]]:
    mix = TrackMix(len(timelines))
    numbers = {stream.index: number for number, stream in enumerate(track.choice.streams)}
    for packet in track.packets():
        number = numbers[packet.stream.index]
        for block in timelines[number].feed(track.frames(packet), track):
            yield from map(_clip, mix.add(number, block))
    for number, timeline in enumerate(timelines):
        for block in timeline.rest():
            yield from map(_clip, mix.add(number, block))
    yield from map(_clip, mix.rest())


def _missing(track: Track, timelines: "list[_Timeline]") -> dict[str, Any]:
    """Return what is missing in the track, or in the one of several that has the least."""
    found = [
        one.missing(track, track.promised(stream))
        for one, stream in zip(timelines, track.choice.streams, strict=True)
    ]
    return max(found, key=lambda one: one["length"] - one["end"] + one["damaged_seconds"])


class _Timeline:
    """The samples of one track, with silence where its timestamps have gaps."""

    def __init__(self, clock: Clock, sample_rate: int, layout: Layout) -> None:
        self._sample_rate = sample_rate
        self._layout = layout
        self._channels = {"mono": 1, "stereo": 2, "apart": 0}[layout]  # 0: those of the first frame
        self._clock = clock
        self._run: _Run | None = None
        self._suspicious = 0  # frames for which a gap counts as damage
        self._harmed_at: float | None = None
        self._damages: list[tuple[float, float]] = []

    def missing(self, track: Track, promised: float | None) -> dict[str, Any]:
        """Return the facts about what is missing of ``track``, given the length in its header.

        ``end`` of ``length`` seconds were decoded (0 and 0 if nothing is missing at the end). ``damaged_seconds`` were not,
        at the seconds ``damaged_at``, a list.
        """
        end, damages = self._clock.elapsed, self._damages
        short = (promised or 0.0) - end
        if self._harmed_at is not None and 2 * track.uncounted_damage(end) > short > 0:
            damages = [(self._harmed_at, short + sum(length for _, length in damages))]
            short = 0.0
        if short < _LEAST_MISSING or self._clock.is_broken:
            short = 0.0
        seconds = sum(length for _, length in damages)
        is_damaged = seconds >= _LEAST_DAMAGED
        return {
            "end": end if short else 0.0,
            "length": promised if short else 0.0,
            "damaged_seconds": seconds if is_damaged else 0.0,
            "damaged_at": [start for start, _ in damages[:_PLACES]] if is_damaged else [],
        }

    def feed(self, frames: "list[AudioFrame]", track: Track) -> Iterator[npt.NDArray[np.float32]]:
        """Add frames of ``track``; yield the blocks that are complete, often none."""
        if track.is_harmed:
            track.is_harmed = False
            self._suspicious = _FRAMES_AFTER_DAMAGE
            if self._harmed_at is None:
                self._harmed_at = self._clock.elapsed
        for frame in frames:
            start = self._clock.elapsed
            pause = self._clock.advance(frame.time, frame.samples / frame.sample_rate)
            if pause and self._suspicious:
                self._damages.append((start, pause))
            self._suspicious = max(self._suspicious - 1, 0)
            if self._run is None or pause or not self._run.accepts(frame):
                yield from self.rest()
                self._channels = self._channels or frame.layout.nb_channels
                yield from _silence(round(pause * self._sample_rate), self._channels)
                self._run = _Run(frame, self._sample_rate, self._layout, self._channels)
            yield from self._run.feed(frame)

    def rest(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the remaining blocks."""
        if self._run is not None:
            yield from self._run.rest()
            self._run = None


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
