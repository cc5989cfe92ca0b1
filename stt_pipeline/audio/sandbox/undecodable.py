"""Names of audio codecs for which FFmpeg has no decoder, so that a message can say what a file has."""

import re
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from av.audio.stream import AudioStream

# Names of the sample entries of MP4 (registered at mp4ra.org) and the codec ids of Matroska.
_CODES = {
    b"ac-4": "AC-4",
    b"mha1": "MPEG-H 3D Audio",
    b"mha2": "MPEG-H 3D Audio",
    b"mhm1": "MPEG-H 3D Audio",
    b"mhm2": "MPEG-H 3D Audio",
    b"enca": "encrypted",
    b"A_AC4": "AC-4",
    b"A_MPEGH": "MPEG-H 3D Audio",
}

_ENTRY = re.compile(rb"stsd.{12}(.{4})|(A_AC4|A_MPEGH)", re.S)  # a size is before the name

_PART = 4 << 20  # bytes at each end of the file, where the index is


def undecodable_codec(stream: "AudioStream", file: BinaryIO) -> str:
    """Return the name of a codec without a decoder; empty if it is unknown. ``file`` is moved."""
    context = getattr(stream, "codec_context", None)
    if context is not None and context.name not in ("", "none"):
        return f"{context.name} without a sample rate"
    end = file.seek(0, 2)
    for begin in {0, max(end - _PART, 0)}:
        file.seek(begin)
        for found in _ENTRY.finditer(file.read(_PART)):
            code = found[1] or found[2]
            if name := _CODES.get(code):
                return name
    return ""
