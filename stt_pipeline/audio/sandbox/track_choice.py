"""Which audio track of a container is read: one flagged as default, the one with sound, all of them, or a number.

Levels are measured on short parts that are spread over the file, so a long film costs no more than a short one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from stt_pipeline.errors import NoAudioError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet

# A frame above -60 dBFS is sound. Muted tracks are digital silence or dither (-90 dBFS), quiet rooms are at -55 dBFS.
_SILENT = 0.001

_PARTS = 24  # of the file, evenly spaced
_PART_SECONDS = 2.0
_PART_PACKETS = 500  # of all tracks; packets of sparse tracks can be far apart


@dataclass(frozen=True, slots=True)
class TrackChoice:
    """The audio tracks that are read.

    Attributes:
        streams: to be mixed, if there are several.
        number: of the track, from 1; 0 if all are mixed.
        count: audio tracks of the container.
        silent: number of the default track if it was passed over because it is silent, else 0.
    """

    streams: "tuple[AudioStream, ...]"
    number: int
    count: int
    silent: int = 0

    def facts(self) -> dict[str, int]:
        """Return the numbers for a result of a task."""
        return {"track": self.number, "tracks": self.count, "silent_track": self.silent}


def choose(
    container: "InputContainer", audio_track: str, name: str, on_packet: Callable[[], None]
) -> TrackChoice:
    """Return the tracks for ``auto``, ``all`` or a number from 1. With ``auto`` the container may be moved.

    Raises:
        NoAudioError: no audio track, or none with this number.
    """
    from av.stream import Disposition

    streams = container.streams.audio
    if not streams:
        raise NoAudioError(f"{name} has no audio track: export the meeting again with its sound.")
    count = len(streams)
    usable = [stream for stream in streams if has_decoder(stream)]
    if audio_track == "all" and usable:
        return TrackChoice(tuple(usable), 0 if count > 1 else 1, count)
    if audio_track not in ("auto", "all"):
        number = int(audio_track)
        if number > count:
            has = f"{count} audio tracks" if count > 1 else "one audio track"
            raise NoAudioError(
                f"{name} has {has}, so there is no track {number}: set audio_track to a number up to {count}, or to auto."
            )
        return TrackChoice((streams[number - 1],), number, count)
    if not usable:
        return TrackChoice((streams[0],), 1, count)
    first = next((one for one in usable if one.disposition & Disposition.default), usable[0])
    chosen = _with_sound(container, usable, first, on_packet) if len(usable) > 1 else first
    numbers = {stream.index: number for number, stream in enumerate(streams, 1)}
    silent = numbers[first.index] if chosen is not first else 0
    return TrackChoice((chosen,), numbers[chosen.index], count, silent)


def has_decoder(stream: "AudioStream") -> bool:
    """Return whether FFmpeg can decode ``stream``; PyAV's types do not say that there is no context without a decoder."""
    return bool(getattr(stream, "codec_context", None) and stream.sample_rate)


def _with_sound(
    container: "InputContainer",
    streams: "Sequence[AudioStream]",
    first: "AudioStream",
    on_packet: Callable[[], None],
) -> "AudioStream":
    """Return ``first`` if it has sound, else the loudest track; ``first`` if all are silent."""
    from av.error import FFmpegError

    levels = dict.fromkeys((stream.index for stream in streams), 0.0)
    duration, begin = container.duration or 0, container.start_time or 0  # microseconds
    for part in range(_PARTS if duration > 0 else 1):
        try:
            if part:
                container.seek(begin + duration * part // _PARTS)
            if not _measure(container, streams, levels, on_packet):
                break  # the audio ends before: each later part would be read to the end of the file
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            break  # no index, or damaged here: what was measured decides
        if levels[first.index] > _SILENT:
            return first
    loudest = max(streams, key=lambda stream: levels[stream.index])
    return loudest if levels[loudest.index] > _SILENT else first


def _measure(
    container: "InputContainer",
    streams: "Sequence[AudioStream]",
    levels: dict[int, float],
    on_packet: Callable[[], None],
) -> bool:
    """Raise ``levels``, by the index of a stream, to the loudest frame of the next two seconds; return whether there is one."""
    from av.error import FFmpegError

    seconds = dict.fromkeys(levels, 0.0)
    packets = cast("Iterator[Packet[AudioStream]]", container.demux(*streams))
    for number, packet in enumerate(packets):
        on_packet()
        index = packet.stream.index
        try:
            frames = packet.decode() if packet.size and seconds[index] < _PART_SECONDS else []
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            continue
        for frame in frames:
            levels[index] = max(levels[index], _level(frame))
            seconds[index] += frame.samples / (frame.sample_rate or 1)
        if number >= _PART_PACKETS or all(length >= _PART_SECONDS for length in seconds.values()):
            break
    return any(seconds.values())


def _level(frame: "AudioFrame") -> float:
    """Return the root mean square of a frame, full scale is 1; that of a format that PyAV cannot read counts as 1."""
    try:
        samples = frame.to_ndarray()
    except ValueError:  # 64-bit integers
        return 1.0
    values = samples.astype(np.float64)
    if samples.dtype == np.uint8:
        values = (values - 128) / 128
    elif samples.dtype.kind == "i":
        values /= 2.0 ** (8 * samples.itemsize - 1)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0).clip(-8, 8)
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0
