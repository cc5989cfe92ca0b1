"""Probe an audio file: duration, sample rate, channels and codec. Only its beginning is decoded.

The work is done in a confined process (`sandbox`), so a broken or hostile file costs only itself.
"""

import math
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from stt_pipeline.audio.address import display_name
from stt_pipeline.audio.open_file import check_length, start_task
from stt_pipeline.errors import UnreadableError
from stt_pipeline.settings import MAX_AUDIO_HOURS

_MAX_NUMBER = 2**31 - 1  # of the columns that store these
_MAX_NAME = 100


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


def probe(path: Path, *, max_hours: float = MAX_AUDIO_HOURS, audio_track: str = "auto") -> AudioInfo:
    """Return the properties of ``path``. All packets are read, so a wrong header has no effect.

    ``audio_track`` is as for :func:`stt_pipeline.audio.decode.decode_blocks`. Of all tracks, the properties are those of the
    first, and the duration is that of the longest.

    Raises:
        UnreadableError: the file is empty or cannot be decoded as audio.
        NoAudioError: no audio track, or an empty track, or none with this number.
        TooLongError: more than ``max_hours`` of audio.
        DecoderLostError: the decoder process was killed; another attempt may succeed.
    """
    with start_task("probe", path, {"audio_track": audio_track}) as task:
        found = task.result()
    name = display_name(path)
    info = AudioInfo(
        duration=_seconds(found, name),
        sample_rate=_number(found, "sample_rate", name),
        channels=_number(found, "channels", name),
        codec=_text(found, "codec", name),
        container=_container_name(_text(found, "container", name), path),
    )
    check_length(path, info.duration, max_hours)
    return info


def rough_duration(path: Path, *, seconds: float) -> float:
    """Estimate the duration of ``path``, in seconds, from the part that can be read within ``seconds``.

    The duration is extrapolated by bytes. It is exact if the whole file is read in time.

    Raises:
        UnreadableError: as for :func:`probe`.
        NoAudioError: as for :func:`probe`.
        DecoderLostError: as for :func:`probe`.
    """
    with start_task("rough_duration", path, {"seconds": seconds}) as task:
        return _seconds(task.result(), display_name(path))


def _seconds(found: dict[str, Any], name: str) -> float:
    value = found.get("duration")
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise _invalid("duration", name)
    return float(value)


def _number(found: dict[str, Any], field: str, name: str) -> int:
    value = found.get(field)
    if not isinstance(value, int) or not 0 <= value <= _MAX_NUMBER:
        raise _invalid(field, name)
    return value


def _text(found: dict[str, Any], field: str, name: str) -> str:
    value = found.get(field)
    if not isinstance(value, str) or not value.isprintable() or len(value) > _MAX_NAME:
        raise _invalid(field, name)
    return value


def _invalid(field: str, name: str) -> UnreadableError:
    return UnreadableError(
        f"{name} has no valid {field.replace('_', ' ')}: check that it plays, and export it again."
    )


def _container_name(names: str, path: PurePath) -> str:
    """Choose from FFmpeg's names of a family ("mov,mp4,m4a"): the file's extension if listed, else the first."""
    choices = names.split(",")
    extension = path.suffix.lstrip(".").lower()
    return extension if extension in choices else choices[0]
