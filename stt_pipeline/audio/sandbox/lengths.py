"""The length that a file's header promises, where the header can be trusted: a truncated file has less.

Many lengths are estimates from the bit rate, or placeholders of a recorder that could not go back to its header. Those count
as unknown.
"""

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_HEAD = 64 << 10  # bytes

# Programs that stream a WAV write 0 or about the largest number (of 31 or 32 bits) as its size.
_PLACEHOLDER = 0x7FFF_0000

# A header with more is wrong: the longest recording that is accepted by default has a day
_MOST_SECONDS = 24 * 3600

# Headers of MP3 that count its frames; they are in a frame before the first one
_XING = re.compile(rb"Xing|Info|VBRI")
_MP3_FRAME = 4_096  # bytes, more than any frame has

_MATROSKA_DURATION = re.compile(rb"\x44\x89[\x84\x88]")  # the element Duration with a float of 4 or 8 bytes
_TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class WavData:
    """The chunk of samples in a WAV file: where it begins, its bytes as the header says, and bytes for a second."""

    begin: int
    size: int
    rate: int


def wav_data(file: BinaryIO) -> WavData | None:
    """Return the samples of a WAV file; None for other files, and for sizes that are placeholders. It is read from 0."""
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        head += file.read(_HEAD)
    file.seek(0)
    if len(head) <= 12:
        return None
    at, rate = 12, 0
    while at + 8 <= len(head):
        kind, size = head[at : at + 4], struct.unpack_from("<I", head, at + 4)[0]
        if kind == b"fmt " and at + 20 <= len(head):
            rate = struct.unpack_from("<I", head, at + 16)[0]
        if kind == b"data":
            return WavData(at + 8, size, rate) if rate and 0 < size < _PLACEHOLDER else None
        at += 8 + size + size % 2
    return None


def has_samples_behind(file: BinaryIO, size: int) -> bool:
    """Return whether a WAV file of ``size`` bytes has a second or more of samples behind those that its header counts.

    A recorder that lost power has not updated its header. ``file`` is read from 0, and again at 0 afterwards.
    """
    data = wav_data(file) if file.seekable() else None
    if data is None or (end := data.begin + data.size + data.size % 2) + data.rate > size:
        return False
    file.seek(end)
    head = file.read(8)
    file.seek(0)
    is_chunk = len(head) == 8 and all(0x20 <= byte < 0x7F for byte in head[:4])
    return not (is_chunk and end + 8 + struct.unpack_from("<I", head, 4)[0] <= size + 1)


def promised_seconds(
    container: "InputContainer", stream: "AudioStream", file: BinaryIO, size: int, first_packet: int
) -> float | None:
    """Return the length of ``stream`` in its header, in seconds; None if it is unknown or no length of a recording.

    ``file`` is moved; the arguments are those of :func:`_in_header`.
    """
    seconds = _in_header(container, stream, file, size, first_packet)
    return seconds if seconds is not None and seconds <= _MOST_SECONDS else None


def _in_header(
    container: "InputContainer", stream: "AudioStream", file: BinaryIO, size: int, first_packet: int
) -> float | None:
    """Return the length that the header has.

    Args:
        container: the open container.
        stream: one of its tracks.
        file: the same file.
        size: bytes of the file.
        first_packet: position of the first packet, in bytes.
    """
    if stream.time_base is None:
        return None
    length = float(stream.duration * stream.time_base) if stream.duration else None
    kinds = container.format.name.split(",")
    if "wav" in kinds:
        data = wav_data(file)
        return data.size / data.rate if data and data.begin + data.size > size else None
    if "flac" in kinds:
        # STREAMINFO: 36 bits from bit 108 on are the number of samples
        info = stream.codec_context.extradata or b""
        samples = int.from_bytes(info[13:18], "big") & 0xF_FFFF_FFFF if len(info) >= 18 else 0
        return samples / stream.sample_rate if samples else None
    if "mp3" in kinds:
        file.seek(max(first_packet - _MP3_FRAME, 0))
        return length if _XING.search(file.read(min(first_packet, _MP3_FRAME))) else None
    if "mov" in kinds:
        return length
    if "matroska" in kinds:
        return _matroska_seconds(container, stream, file)
    return None


def _matroska_seconds(container: "InputContainer", stream: "AudioStream", file: BinaryIO) -> float | None:
    file.seek(0)
    if not _MATROSKA_DURATION.search(file.read(_HEAD)) or not container.duration:
        return None  # a recorder that did not end properly; the duration is an estimate
    whole = container.duration / 1e6
    if tag := _TAG.fullmatch(stream.metadata.get("DURATION", "")):
        hours, minutes, seconds = tag.groups()
        begin = float((stream.start_time or 0) * (stream.time_base or 0))
        return min(3600 * int(hours) + 60 * int(minutes) + float(seconds), whole) - begin
    return whole if len(container.streams) == 1 else None
