"""A half-second recording of each extension that the product takes, with video where recorders write video."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_SECONDS, _TONE = 0.5, 440.0


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a sample is written: FFmpeg's names of codec and container, Hz, and whether it has a video track."""

    codec: str
    container: str
    rate: int = 16_000
    has_video: bool = False


_KINDS = {
    "aac": _Kind("aac", "adts"),
    "aif": _Kind("pcm_s16be", "aiff"),
    "aiff": _Kind("pcm_s24be", "aiff"),
    "amr": _Kind("libopencore_amrnb", "amr", 8_000),
    "au": _Kind("pcm_s16be", "au"),
    "caf": _Kind("pcm_s16be", "caf"),
    "flac": _Kind("flac", "flac"),
    "m4a": _Kind("aac", "mp4"),
    "mka": _Kind("ac3", "matroska", 48_000),
    "mp2": _Kind("mp2", "mp2"),
    "mp3": _Kind("libmp3lame", "mp3"),
    "oga": _Kind("flac", "ogg"),
    "ogg": _Kind("vorbis", "ogg", 48_000),
    "opus": _Kind("libopus", "ogg", 48_000),
    "wav": _Kind("pcm_s16le", "wav"),
    "wma": _Kind("wmav2", "asf"),
    "3gp": _Kind("libopencore_amrnb", "3gp", 8_000),
    "avi": _Kind("libmp3lame", "avi", has_video=True),
    "flv": _Kind("aac", "flv", 44_100),
    "m4v": _Kind("aac", "mp4", has_video=True),
    "mkv": _Kind("libopus", "matroska", 48_000, has_video=True),
    "mov": _Kind("pcm_s16le", "mov", has_video=True),
    "mp4": _Kind("aac", "mp4", has_video=True),
    "mpeg": _Kind("mp2", "mpeg"),
    "mpg": _Kind("ac3", "mpeg", 48_000),
    "webm": _Kind("libopus", "webm", 48_000),
    "wmv": _Kind("wmav1", "asf"),
}


def write_samples(folder: Path) -> list[Path]:
    """Write a recording of each extension into ``folder``; needs no ffmpeg program."""
    return [_write(folder / f"sample.{extension}", kind) for extension, kind in _KINDS.items()]


def _write(path: Path, kind: _Kind) -> Path:
    with av.open(str(path), "w", format=kind.container) as container:
        # FFmpeg's own Vorbis encoder counts as experimental, and takes stereo only
        sound = container.add_stream(kind.codec, rate=kind.rate, options={"strict": "experimental"})
        sound.layout = layout = "stereo" if kind.codec == "vorbis" else "mono"
        if kind.container == "asf":
            sound.bit_rate = 64_000  # FFmpeg's WMA encoder needs one
        video = container.add_stream("mpeg4", rate=10) if kind.has_video else None
        if video is not None:
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            for _ in range(round(10 * _SECONDS)):
                container.mux(video.encode(picture))
            container.mux(video.encode(None))
        for frame in _frames(kind.rate, layout, sound.codec_context):
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def _frames(rate: int, layout: str, encoder: av.AudioCodecContext) -> Iterator[av.AudioFrame]:
    tone = np.sin(2 * np.pi * _TONE * np.arange(round(_SECONDS * rate)) / rate) / 3
    block = av.AudioFrame.from_ndarray(tone.astype(np.float32).reshape(1, -1), format="fltp", layout="mono")
    block.sample_rate = rate
    fifo, position = av.AudioFifo(), 0
    for converted in av.AudioResampler(encoder.format, layout, rate).resample(block):
        converted.pts = None
        fifo.write(converted)
    while (frame := fifo.read(encoder.frame_size or 1024) or fifo.read(0, True)) is not None:
        frame.pts, frame.time_base = position, Fraction(1, rate)
        position += frame.samples
        yield frame
