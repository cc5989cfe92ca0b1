"""Writes sound files of any container and codec with PyAV, for tests: no ffmpeg binary, no files in the repository."""

import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.stream import Disposition

CODECS = {
    "wav": "pcm_s16le",
    "flac": "flac",
    "mp3": "libmp3lame",
    "ogg": "libopus",
    "opus": "libopus",
    "m4a": "aac",
    "webm": "libopus",
    "mkv": "aac",
    "mp4": "aac",
}


def tone(seconds: float, rate: int = 16_000, hertz: float = 440.0) -> npt.NDArray[np.float32]:
    """A sine at a third of full scale."""
    return (np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate) / 3).astype(np.float32)


def write_sound(
    path: Path,
    samples: npt.NDArray[np.float32],
    rate: int = 16_000,
    *,
    codec: str = "",
    silent_from: int | None = None,
) -> Path:
    """Encode ``samples``, (n,) or (n, channels), into ``path``; the suffix decides container and codec.

    With ``silent_from`` the packets after that second are delayed by 5 s, as by a recorder that stops for a pause.
    """
    columns = samples.reshape(len(samples), -1)
    layout = {1: "mono", 2: "stereo"}[columns.shape[1]]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec or CODECS[path.suffix[1:]], rate=rate)
        stream.layout = layout
        for frame in _frames(columns, rate, layout, stream.codec_context):
            for packet in stream.encode(frame):
                container.mux(_delayed(packet, silent_from))
        for packet in stream.encode(None):
            container.mux(_delayed(packet, silent_from))
    return path


def write_channels(path: Path, samples: npt.NDArray[np.float32], places: int, rate: int = 16_000) -> Path:
    """Write a WAV of 16 bits with any number of channels, (n, channels); ``places`` has a bit for each, or is 0.

    The places are the dwChannelMask of Microsoft's WAVEFORMATEXTENSIBLE: 4 is the centre, 0x7000 are three above.
    """
    channels = samples.shape[1]
    content = np.round(samples * 32_767).astype("<i2").tobytes()
    form = struct.pack(
        "<HHIIHHHHI", 0xFFFE, channels, rate, 2 * rate * channels, 2 * channels, 16, 22, 16, places
    ) + bytes.fromhex("0100000000001000800000aa00389b71")
    riff = (
        b"WAVEfmt "
        + struct.pack("<I", len(form))
        + form
        + b"data"
        + struct.pack("<I", len(content))
        + content
    )
    path.write_bytes(b"RIFF" + struct.pack("<I", len(riff)) + riff)
    return path


def write_wav_header(path: Path, *, rate: int, claimed: int, channels: int = 1) -> Path:
    """Write the header of a WAV of 8 bits, which claims ``claimed`` bytes of samples; there are none."""
    second = rate * channels
    form = struct.pack("<HHIIHH", 1, channels, rate, second & 0xFFFFFFFF, channels & 0xFFFF, 8)
    header = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", claimed)
    path.write_bytes(b"RIFF" + struct.pack("<I", min(claimed + len(header), 0xFFFFFFFF)) + header)
    return path


def write_pauses(path: Path, *, packets: int, pause: float) -> Path:
    """Write a second of audio for each 50 ``packets``, with a gap of ``pause`` seconds after each packet."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libopus", rate=48_000)
        stream.layout = "mono"
        columns = tone(packets / 50, 48_000).reshape(-1, 1)
        encoded = [
            p
            for frame in _frames(columns, 48_000, "mono", stream.codec_context)
            for p in stream.encode(frame)
        ]
        for number, packet in enumerate(encoded):
            packet.pts += round(number * pause / packet.time_base)
            packet.dts = packet.pts
            container.mux(packet)
    return path


def write_subtitled(path: Path) -> Path:
    """Write a second of audio with a subtitle track; the suffix decides the container."""
    text = path.with_suffix(".srt")
    text.write_text("1\n00:00:00,000 --> 00:00:01,000\n안녕하세요\n", encoding="utf-8")
    with av.open(str(text)) as subtitles, av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=48_000)
        sound.layout = "mono"
        lines = container.add_stream_from_template(subtitles.streams[0])
        for frame in _frames(tone(1, 48_000).reshape(-1, 1), 48_000, "mono", sound.codec_context):
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        for packet in subtitles.demux():
            if packet.dts is not None:
                packet.stream = lines
                container.mux(packet)
    return path


def write_tracks(
    path: Path,
    tracks: Sequence[npt.NDArray[np.float32]],
    *,
    default: int = 0,
    starts: Sequence[float] = (),
    film: float = 0.0,
) -> Path:
    """Write AAC tracks of mono samples at 16 kHz; ``default`` is the index of the flagged one.

    Each begins at its second of ``starts``; ``film`` is the length of a picture in seconds, if there is one.
    """
    with av.open(str(path), "w") as container:
        packets = []
        if film:
            picture = container.add_stream("mpeg4", rate=10)
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
            black = np.zeros((48, 64, 3), np.uint8)
            for _ in range(round(10 * film)):
                packets += picture.encode(av.VideoFrame.from_ndarray(black, format="rgb24"))
            packets += picture.encode(None)
        for number, samples in enumerate(tracks):
            stream = container.add_stream("aac", rate=16_000)
            stream.layout = "mono"
            stream.disposition = Disposition.default if number == default else Disposition(0)
            late = starts[number] if starts else 0.0
            for frame in [*_frames(samples.reshape(-1, 1), 16_000, "mono", stream.codec_context), None]:
                for packet in stream.encode(frame):
                    packet.pts += round(late / packet.time_base)
                    packet.dts = packet.pts
                    packets.append(packet)
        for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
            container.mux(packet)
    return path


def write_film(path: Path, *, seconds: float = 1.0) -> Path:
    """A film without an audio track."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(round(10 * seconds)):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24"))
            )
        container.mux(stream.encode(None))
    return path


def damage(path: Path, start: float, end: float) -> Path:
    """Overwrite a part of ``path``, given as fractions of its size, with random bytes."""
    content = bytearray(path.read_bytes())
    first, last = round(start * len(content)), round(end * len(content))
    content[first:last] = np.random.default_rng(0).bytes(last - first)
    path.write_bytes(content)
    return path


def _frames(
    columns: npt.NDArray[np.float32], rate: int, layout: str, encoder: av.AudioCodecContext
) -> Iterator[av.AudioFrame]:
    resampler = av.AudioResampler(encoder.format, layout, encoder.sample_rate)
    fifo = av.AudioFifo()
    block = av.AudioFrame.from_ndarray(np.ascontiguousarray(columns.T), format="fltp", layout=layout)
    block.sample_rate = rate
    for resampled in [*resampler.resample(block), *resampler.resample(None)]:
        resampled.pts = None
        fifo.write(resampled)
    position = 0
    while (frame := fifo.read(encoder.frame_size or 1024) or fifo.read(0, True)) is not None:
        frame.pts, frame.time_base = position, Fraction(1, encoder.sample_rate)
        position += frame.samples
        yield frame


def _delayed(packet: av.Packet, silent_from: int | None) -> av.Packet:
    if silent_from is not None and packet.pts * packet.time_base >= silent_from:
        packet.pts += round(5 / packet.time_base)
        packet.dts = packet.pts
    return packet
