"""Real files of every format, good and damaged: `probe` and `decode` must agree on each."""

import os
import unicodedata
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode, decode_blocks
from stt_pipeline.audio.probe import probe
from stt_pipeline.errors import FileError, NoAudioError, UnreadableError
from stt_pipeline_tests.audio.sound_files import (
    CODECS,
    damage,
    tone,
    write_film,
    write_pauses,
    write_sound,
    write_subtitled,
)
from stt_pipeline_tests.conftest import REAL, needs_real_speech

Reader = Callable[[Path], object]
readers = pytest.mark.parametrize("read", [probe, decode])


def loudness(samples: np.ndarray, start: float, end: float) -> float:
    return float(np.sqrt(np.mean(samples[round(start * 16_000) : round(end * 16_000)] ** 2)))


@pytest.mark.parametrize("suffix", CODECS)
def test_every_container(suffix: str, tmp_path: Path) -> None:
    rate = 48_000 if CODECS[suffix] == "libopus" else 44_100
    sound = np.stack([tone(3, rate), tone(3, rate)], axis=1)
    path = write_sound(tmp_path / f"회의 '1'.{suffix}", sound, rate)
    info = probe(path)
    assert (info.sample_rate, info.channels) == (rate, 2)
    assert info.codec == {"libopus": "opus", "libmp3lame": "mp3"}.get(CODECS[suffix], CODECS[suffix])
    assert info.container == {"mkv": "matroska", "opus": "ogg"}.get(suffix, suffix)
    samples = decode(path)
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert len(samples) / 16_000 == pytest.approx(3, abs=0.03)
    assert info.duration == pytest.approx(3, abs=0.06)
    assert loudness(samples, 0.5, 2.5) == pytest.approx(1 / 3, rel=0.1)
    frequencies = np.abs(np.fft.rfft(samples[8000:24_000]))
    assert frequencies.argmax() == 440


def test_a_track_of_subtitles_is_no_hindrance(tmp_path: Path) -> None:
    path = write_subtitled(tmp_path / "a.mkv")
    assert probe(path).duration == pytest.approx(1, abs=0.06)
    assert len(decode(path)) / 16_000 == pytest.approx(1, abs=0.06)


def test_a_codec_that_ffmpeg_does_not_know(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone(1))
    content = bytearray(path.read_bytes())
    content[20:22] = b"\x77\x77"  # the format tag
    path.write_bytes(content)
    for read in (probe, decode):
        with pytest.raises(UnreadableError, match=r"a\.wav cannot be decoded as audio"):
            read(path)


def test_another_rate(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone(1))
    assert len(decode(path, sample_rate=8000)) == 8000


def test_telephone_rate_is_raised(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone(1, rate=8000), rate=8000)
    assert probe(path).sample_rate == 8000
    assert len(decode(path)) == 16_000


@needs_real_speech
def test_real_recordings() -> None:
    assert probe(REAL / "jfk.flac").duration == pytest.approx(11.0)
    assert len(decode(REAL / "jfk.flac")) == 11 * 16_000
    info = probe(REAL / "multilingual.mp3")
    assert (info.sample_rate, info.channels, info.codec) == (24_000, 1, "mp3")
    assert len(decode(REAL / "multilingual.mp3")) / 16_000 == pytest.approx(info.duration, abs=0.1)


@pytest.mark.parametrize("sound", [tone(0.1), np.zeros(16_000, np.float32), np.ones(1, np.float32)])
def test_a_blip_and_silence_are_audio(sound: np.ndarray, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", sound)
    assert probe(path).duration == pytest.approx(len(sound) / 16_000)
    assert len(decode(path)) == len(sound)


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "m4a", "flac"])
def test_a_blip_is_audio_in_every_codec(suffix: str, tmp_path: Path) -> None:
    path = write_sound(tmp_path / f"a.{suffix}", tone(0.1, 48_000), 48_000)
    assert probe(path).duration == pytest.approx(0.1, abs=0.06)
    assert len(decode(path)) / 16_000 == pytest.approx(0.1, abs=0.06)


@pytest.mark.parametrize(
    "name", ['it\'s "1".mp3', "🎙️.mp3", "100%25 #1?.mp3", "concat:a.mp3", "NFD", "latin1"]
)
def test_any_name(name: str, tmp_path: Path) -> None:
    names = {"NFD": unicodedata.normalize("NFD", "회의.mp3"), "latin1": os.fsdecode(b"caf\xe9.mp3")}
    path = write_sound(tmp_path / "plain.mp3", tone(1)).rename(tmp_path / names.get(name, name))
    assert probe(path).duration == pytest.approx(1, abs=0.1)
    assert len(decode(path)) / 16_000 == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("suffix", ["mp3", "wav", "flac", "ogg", "webm", "mkv"])
def test_the_duration_of_a_truncated_recording_is_that_of_its_rest(suffix: str, tmp_path: Path) -> None:
    path = write_sound(tmp_path / f"a.{suffix}", tone(10, 48_000), 48_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    decoded = len(decode(path)) / 16_000
    assert 3 < decoded < 7
    assert probe(path).duration == pytest.approx(decoded, abs=0.15)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "webm", "m4a", "mkv"])
def test_damage_in_the_middle_costs_only_the_middle(suffix: str, tmp_path: Path) -> None:
    path = damage(write_sound(tmp_path / f"a.{suffix}", tone(20, 48_000), 48_000), 0.5, 0.6)
    samples = decode(path)
    assert len(samples) / 16_000 == pytest.approx(20, abs=0.1), "what follows the damage keeps its time"
    assert loudness(samples, 1, 9) > 0.2
    assert loudness(samples, 17, 19.5) > 0.2
    assert probe(path).duration == pytest.approx(20, abs=0.1)


def test_damage_in_an_mp3_is_skipped(tmp_path: Path) -> None:
    path = damage(write_sound(tmp_path / "a.mp3", tone(20)), 0.5, 0.6)
    assert len(decode(path)) / 16_000 == pytest.approx(18, abs=0.5)


def test_a_recorder_that_paused_leaves_silence(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.webm", tone(4, 48_000), 48_000, silent_from=2)
    samples = decode(path)
    assert len(samples) / 16_000 == pytest.approx(9, abs=0.05)
    assert probe(path).duration == pytest.approx(9, abs=0.05)
    assert loudness(samples, 0.5, 1.5) > 0.2
    assert loudness(samples, 2.5, 6.5) == 0
    assert loudness(samples, 7.5, 8.5) > 0.2


def test_pauses_are_limited_to_ten_times_the_audio_and_an_hour(tmp_path: Path) -> None:
    """A small file cannot play for weeks."""
    path = write_pauses(tmp_path / "a.mkv", packets=500, pause=599.0)
    duration = probe(path).duration
    assert 10 <= duration < 3600 + 11 * 10.1
    decoded = sum(len(block) for block in decode_blocks(path, sample_rate=8000)) / 8000
    assert decoded == pytest.approx(duration, abs=0.1)


def test_long_pauses_of_a_recorder_are_kept(tmp_path: Path) -> None:
    path = write_pauses(tmp_path / "a.mkv", packets=50, pause=60.0)
    assert probe(path).duration == pytest.approx(1 + 49 * 60, abs=0.1)


def test_a_recording_that_changes_its_format_midway(tmp_path: Path) -> None:
    parts = [write_sound(tmp_path / f"{rate}.mp3", tone(2, rate), rate) for rate in (16_000, 44_100)]
    path = tmp_path / "joined.mp3"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert len(decode(path)) / 16_000 == pytest.approx(4, abs=0.2)


def an_empty_file(path: Path) -> None:
    path.touch()


def a_text_file(path: Path) -> None:
    path.write_text("회의록: 다음 회의는 금요일입니다.\n" * 200, encoding="utf-8")


def random_bytes(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(300_000))


def a_playlist(path: Path) -> None:
    sound = write_sound(path.with_name("private.mp3"), tone(1))
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{sound}\n#EXT-X-ENDLIST\n")


def a_list_to_join(path: Path) -> None:
    write_sound(path.with_name("private.mp3"), tone(1))
    path.write_text("ffconcat version 1.0\nfile private.mp3\n")


def a_folder(path: Path) -> None:
    path.mkdir()


def nothing(path: Path) -> None:
    pass


@readers
@pytest.mark.parametrize("suffix", ["mp3", "wav", "flac", "m4a", "ogg", "webm", "aac"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (an_empty_file, r"is empty \(0 bytes\)"),
        (a_text_file, "cannot be decoded"),
        (random_bytes, "cannot be decoded"),
        (a_playlist, "cannot be decoded"),
        (a_list_to_join, "cannot be decoded"),
        (a_folder, "cannot be read .Is a directory"),
        (nothing, "cannot be read .No such file"),
    ],
)
def test_files_that_are_not_audio(
    make: Callable[[Path], None],
    message: str,
    suffix: str,
    read: Reader,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / f"이사회 회의.{suffix}"
    make(path)
    with pytest.raises(UnreadableError, match=message) as raised:
        read(path)
    assert str(raised.value).startswith(f"이사회 회의.{suffix} ")
    assert capfd.readouterr() == ("", ""), "FFmpeg and PyAV write nothing of their own"


@readers
def test_an_m4a_without_its_index_is_unreadable(read: Reader, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.m4a", tone(5))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableError, match=r"a\.m4a cannot be decoded"):
        read(path)


@readers
def test_a_video_without_audio(read: Reader, tmp_path: Path) -> None:
    with pytest.raises(NoAudioError, match=r"silent\.mp4 has no audio track"):
        read(write_film(tmp_path / "silent.mp4"))


@readers
def test_a_header_without_samples(read: Reader, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
    with pytest.raises(NoAudioError, match=r"a\.wav holds no sound"):
        read(tmp_path / "a.wav")


@readers
def test_messages_can_be_stored(read: Reader, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.mp3")
    path.touch()
    with pytest.raises(FileError) as raised:
        read(path)
    str(raised.value).encode("utf-8")
