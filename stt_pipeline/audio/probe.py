"""Probe an audio file: duration, sample rate, channels and codec. Only its beginning is decoded."""

import time
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from stt_pipeline.audio.container import Clock, open_audio

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet

_DECODED_PACKETS = 10  # enough to distinguish audio from random bytes


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """``duration`` in seconds, ``sample_rate`` in Hz; ``codec`` and ``container`` by FFmpeg's names ("aac", "mp4").

    The duration is the sum of the packets, not the header's value: for a truncated recording it is the length of the rest.
    It can exceed the decoded length by some hundredths of a second, because codecs pad the end.
    """

    duration: float
    sample_rate: int
    channels: int
    codec: str
    container: str


def probe(path: Path) -> AudioInfo:
    """Return the properties of ``path``. All packets are read, so a wrong header has no effect.

    Raises:
        UnreadableError: the file is empty or cannot be decoded as audio.
        NoAudioError: no audio track, or an empty track.
    """
    clock = Clock()
    with open_audio(path) as track:
        for packet in track.packets():
            clock.advance(*_times(packet))
            if track.decoded < _DECODED_PACKETS:
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
    """Estimate the duration of ``path``, in seconds, from the part that can be read within ``seconds``.

    The duration is extrapolated by bytes. It is exact if the whole file is read in time.

    Raises:
        UnreadableError: as for :func:`probe`.
        NoAudioError: as for :func:`probe`.
    """
    clock = Clock()
    until = time.monotonic() + seconds
    begin, end = None, 0  # byte range of the part that is read
    with open_audio(path) as track:
        for packet in track.packets():
            clock.advance(*_times(packet))
            if track.decoded < _DECODED_PACKETS:
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
    """Choose from FFmpeg's names of a family ("mov,mp4,m4a"): the file's extension if listed, else the first."""
    choices = names.split(",")
    extension = path.suffix.lstrip(".").lower()
    return extension if extension in choices else choices[0]
