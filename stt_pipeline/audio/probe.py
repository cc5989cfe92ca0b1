"""What an audio file is: its length, rate, channels and codec, found by decoding no more than its beginning."""

import time
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from stt_pipeline.audio.container import Clock, open_audio

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet

_ENOUGH = 10  # packets that decode tell audio from bytes that look like it


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """``duration`` in seconds, ``sample_rate`` in Hz; ``codec`` and ``container`` by FFmpeg's names ("aac", "mp4").

    The duration is what the packets add up to, not what the header promises: a truncated recording is as long as
    what is left of it. It may be some hundredths of a second over the decoded length (codecs pad their ends).
    """

    duration: float
    sample_rate: int
    channels: int
    codec: str
    container: str


def probe(path: Path) -> AudioInfo:
    """Return what ``path`` holds; all its packets are counted, so that a header cannot lie.

    Raises:
        UnreadableError: empty, or not audio that can be decoded.
        NoAudioError: no audio track, or a track without any sound in it.
    """
    clock = Clock()
    with open_audio(path) as track:
        for packet in track.packets():
            clock.advance(*_times(packet))
            if track.decoded < _ENOUGH:
                track.frames(packet)
        track.check()
        return AudioInfo(
            duration=clock.elapsed,
            sample_rate=track.stream.sample_rate,
            channels=track.stream.channels,
            codec=track.stream.codec_context.codec.canonical_name,
            container=_container_name(track.container.format.name, path),
        )


def rough_duration(path: Path, *, seconds: float) -> float:
    """Return how long ``path`` plays, in seconds, from as much of it as can be read in ``seconds``.

    What is left is taken to be like what was read. A file that is read to its end has its exact length.

    Raises:
        UnreadableError: as for :func:`probe`.
        NoAudioError: as for :func:`probe`.
    """
    clock = Clock()
    until = time.monotonic() + seconds
    begin, end = None, 0  # of what was read, in the file
    with open_audio(path) as track:
        for packet in track.packets():
            clock.advance(*_times(packet))
            if track.decoded < _ENOUGH:
                track.frames(packet)
            if packet.pos is not None:
                begin = packet.pos if begin is None else begin
                end = max(end, packet.pos + packet.size)
            if time.monotonic() > until and track.decoded and begin is not None:
                track.check()
                return clock.elapsed * path.stat().st_size / (end - begin)
        track.check()
        return clock.elapsed


def _times(packet: "Packet[AudioStream]") -> tuple[float | None, float]:
    """Return a packet's start and length in seconds."""
    if packet.time_base is None:
        return None, 0.0
    start = float(packet.pts * packet.time_base) if packet.pts is not None else None
    return start, float((packet.duration or 0) * packet.time_base)


def _container_name(names: str, path: PurePath) -> str:
    """Pick one of FFmpeg's names for a family ("mov,mp4,m4a"): the file's own, else the first."""
    choices = names.split(",")
    extension = path.suffix.lstrip(".").lower()
    return extension if extension in choices else choices[0]
