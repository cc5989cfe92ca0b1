"""Packets of a track: the properties of a file, of which only the beginning is decoded. Runs in the decoder's child."""

import time
from typing import TYPE_CHECKING, Any

from stt_pipeline.audio.sandbox.container import Clock, Media, open_audio

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet

_DECODED_PACKETS = 10  # enough to distinguish audio from random bytes


def properties(media: Media, audio_track: str = "auto") -> dict[str, Any]:
    """Return the fields of :class:`stt_pipeline.audio.probe.AudioInfo`. All packets are read.

    Raises:
        UnreadableError: the file cannot be decoded as audio.
        NoAudioError: no audio track, or an empty track.
    """
    with open_audio(media, audio_track) as track:
        clocks = {stream.index: track.clock(stream) for stream in track.choice.streams}
        for packet in track.packets():
            clocks[packet.stream.index].advance(*_times(packet))
            if track.decoded < _DECODED_PACKETS:
                track.frames(packet)
        track.check()
        return {
            "duration": round(max(clock.elapsed for clock in clocks.values()), 9),  # the error of sums
            "sample_rate": track.stream.sample_rate,
            "channels": track.stream.channels,
            "codec": track.stream.codec_context.codec.canonical_name,
            "container": track.container.format.name,
        }


def rough_duration(media: Media, seconds: float) -> float:
    """Return what :func:`stt_pipeline.audio.probe.rough_duration` describes.

    Raises:
        UnreadableError: as for :func:`properties`.
        NoAudioError: as for :func:`properties`.
    """
    clock = Clock()
    until = time.monotonic() + seconds
    begin, end = None, 0  # byte range of the part that is read
    with open_audio(media) as track:
        for packet in track.packets():
            clock.advance(*_times(packet))
            if track.decoded < _DECODED_PACKETS:
                track.frames(packet)
            if packet.pos is not None:
                begin = packet.pos if begin is None else begin
                end = max(end, packet.pos + packet.size)
            if time.monotonic() > until and track.decoded and begin is not None:
                track.check()
                return clock.elapsed * media.size / (end - begin)
        track.check()
        return round(clock.elapsed, 9)  # the error of sums


def _times(packet: "Packet[AudioStream]") -> tuple[float | None, float]:
    """Return a packet's start and length in seconds."""
    if packet.time_base is None:
        return None, 0.0
    start = float(packet.pts * packet.time_base) if packet.pts is not None else None
    return start, float((packet.duration or 0) * packet.time_base)
