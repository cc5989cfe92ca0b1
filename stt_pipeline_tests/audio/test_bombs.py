"""Small files that claim or decode to far more than a recording: they are refused with words, within bounded memory."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode, decode_blocks
from stt_pipeline.audio.probe import probe
from stt_pipeline.audio.sandbox.container import Media, open_audio
from stt_pipeline.errors import FileError, TooLongError, UnreadableError
from stt_pipeline_tests.audio.sound_files import tone, write_channels, write_sound, write_wav_header

Reader = Callable[[Path], object]
readers = pytest.mark.parametrize("read", [probe, decode])


def append(path: Path, content: bytes) -> Path:
    with path.open("ab") as file:
        file.write(content)
    return path


@readers
@pytest.mark.parametrize("rate", [1, 8, 999, 2_000_000])
def test_a_rate_that_no_recorder_has(rate: int, read: Reader, tmp_path: Path) -> None:
    path = append(write_wav_header(tmp_path / "a.wav", rate=rate, claimed=60_000), bytes(60_000))
    with pytest.raises(UnreadableError, match=rf"a\.wav has a sample rate of {rate:,} Hz"):
        read(path)


@readers
def test_too_many_channels_of_a_wav(read: Reader, tmp_path: Path) -> None:
    path = write_channels(tmp_path / "a.wav", np.zeros((1600, 65), np.float32), 0)
    with pytest.raises(UnreadableError, match=r"a\.wav has 65 channels, and up to 64 can be mixed"):
        read(path)


@readers
@pytest.mark.parametrize("channels", [512, 100_000, 2**31])
def test_too_many_channels_of_an_au(channels: int, read: Reader, tmp_path: Path) -> None:
    path = tmp_path / "a.au"
    path.write_bytes(struct.pack(">4sIIIII", b".snd", 24, 0xFFFFFFFF, 3, 16_000, channels) + bytes(100_000))
    with pytest.raises(UnreadableError, match=r"^a\.au "):
        read(path)


def test_a_small_file_of_many_hours(tmp_path: Path) -> None:
    """At 1 kHz and 8 bits, 8 MB are more than two hours."""
    path = write_wav_header(tmp_path / "a.wav", rate=1_000, claimed=8_000_000)
    os.truncate(path, 8_000_000)  # a sparse file
    with pytest.raises(TooLongError, match=r"a\.wav has more than 2 hours of audio: .* STT_MAX_AUDIO_HOURS"):
        probe(path, max_hours=2.0)
    decoded = 0
    with pytest.raises(
        TooLongError, match=r"a\.wav has more than 0\.5 hours of audio: .* STT_MAX_AUDIO_HOURS"
    ):
        for block in decode_blocks(path, max_hours=0.5):
            decoded += len(block)
    assert decoded <= 1_800 * 16_000, "and no more than that is decoded"


def test_the_limit_is_for_decoded_hours(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.flac", tone(40))
    assert (
        len(b"".join(block.tobytes() for block in decode_blocks(path, max_hours=40 / 3600)))
        == 4 * 40 * 16_000
    )
    for layout in ("mono", "stereo"):
        with pytest.raises(TooLongError):
            list(decode_blocks(path, layout=layout, max_hours=39.9 / 3600))  # type: ignore[arg-type]
    assert probe(path, max_hours=40 / 3600).duration == pytest.approx(40)
    with pytest.raises(TooLongError, match=r"more than 0\.01 hours"):
        probe(path, max_hours=0.01)


def test_a_header_of_four_gigabytes_gives_the_sound_that_is_there(tmp_path: Path) -> None:
    path = append(
        write_wav_header(tmp_path / "a.wav", rate=16_000, claimed=0xFFFFFFFF), bytes([128]) * 16_000
    )
    assert len(decode(path)) == 16_000
    assert probe(path).duration == pytest.approx(1)


@readers
@pytest.mark.parametrize("box", [b"stsz", b"stts", b"stsc", b"stco"])
def test_a_table_of_four_thousand_million_entries(box: bytes, read: Reader, tmp_path: Path) -> None:
    """The index of an MP4 claims more entries than the file has bytes."""
    path = write_sound(tmp_path / "a.m4a", tone(1))
    content = bytearray(path.read_bytes())
    count = content.index(box) + (12 if box == b"stsz" else 8)
    content[count : count + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    try:
        read(path)
    except FileError as error:
        assert str(error).startswith("a.m4a ")


def test_memory_that_runs_out_is_an_error_of_the_file() -> None:
    class Greedy:
        name = "a.wav"

        def read(self, size: int) -> bytes:
            raise MemoryError

        def seekable(self) -> bool:
            return False

    media = Media(Greedy(), "a.wav", 1, lambda: None)  # type: ignore[arg-type]
    with pytest.raises(UnreadableError, match=r"a\.wav takes more memory to decode"), open_audio(media):
        pass


def test_low_rates_take_no_more_memory(tmp_path: Path) -> None:
    """A block of half a million samples at 1 kHz would be 33 MB after resampling, and at 1 Hz 33 GB."""
    path = append(write_wav_header(tmp_path / "a.wav", rate=1_000, claimed=600_000), bytes(600_000))
    blocks = list(decode_blocks(path))
    assert max(block.nbytes for block in blocks) <= 4 << 20
    assert sum(map(len, blocks)) == pytest.approx(600 * 16_000, abs=16)
