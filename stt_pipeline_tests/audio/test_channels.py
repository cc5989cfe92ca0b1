"""Mixing any number of channels, inverted or not, and invalid values of floating point files."""

from pathlib import Path

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode, decode_blocks
from stt_pipeline_tests.audio.sound_files import CODECS, tone, write_channels, write_sound


def level(samples: np.ndarray) -> float:
    """The root of the mean square; the tone's own is 1 / 3 / sqrt(2)."""
    return float(np.sqrt(np.mean(samples[1600:-1600] ** 2)) * 3 * np.sqrt(2))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("channels", "places"),
    [
        *((channels, 0) for channels in (3, 4, 6, 8, 9, 12, 16, 24, 32, 64)),
        (6, 0x3F),  # 5.1
        (8, 0x63F),  # 7.1
        (3, 0x7000),  # above, of which FFmpeg knows no mix
    ],
)
def test_equal_channels_are_as_loud_as_each(channels: int, places: int, tmp_path: Path) -> None:
    path = write_channels(tmp_path / "a.wav", np.stack([tone(1)] * channels, axis=1), places)
    mono = decode(path)
    assert (len(mono), level(mono)) == (16_000, pytest.approx(1, abs=0.001))
    stereo = np.concatenate(list(decode_blocks(path, layout="stereo")))
    assert (len(stereo), level(stereo)) == (16_000, pytest.approx(1, abs=0.001))


def test_a_long_recording_of_many_channels_has_no_seams(tmp_path: Path) -> None:
    path = write_channels(tmp_path / "a.wav", np.stack([tone(20, 8000)] * 9, axis=1), 0, 8000)
    one = decode(write_sound(tmp_path / "b.wav", tone(20, 8000), 8000))
    assert np.abs(decode(path) - one).max() < 0.001


@pytest.mark.slow
def test_the_mix_contains_each_microphone(tmp_path: Path) -> None:
    for speaker in range(16):
        sound = np.zeros((8000, 16), np.float32)
        sound[:, speaker] = tone(0.5)
        assert level(decode(write_channels(tmp_path / "a.wav", sound, 0))) == pytest.approx(1 / 16, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(suffix, CODECS[suffix]) for suffix in ("flac", "mp3", "ogg", "m4a")]
    + [("wav", codec) for codec in ("pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_f64le")],
)
def test_an_inverted_microphone_is_not_cancelled(suffix: str, codec: str, tmp_path: Path) -> None:
    one, quieter = tone(4, 48_000), tone(4, 48_000) * 0.9
    right = write_sound(tmp_path / f"right.{suffix}", np.stack([one, one], axis=1), 48_000, codec=codec)
    for channels in ([one, -quieter], [-quieter, one]):
        swapped = write_sound(tmp_path / f"swapped.{suffix}", np.stack(channels, axis=1), 48_000, codec=codec)
        assert level(decode(swapped)) == pytest.approx(level(decode(right)), rel=0.05)


def test_wires_that_were_swapped_midway(tmp_path: Path) -> None:
    one = tone(60)
    other = np.where(np.arange(len(one)) < 5 * 16_000, one, -one)
    samples = decode(write_sound(tmp_path / "a.flac", np.stack([one, other], axis=1)))
    assert len(samples) == len(one)
    assert level(samples[40 * 16_000 :]) == pytest.approx(2**0.5, rel=0.01)


@pytest.mark.parametrize(
    ("right", "heard"),
    [
        (1.0, 2.0),
        (0.0, 1.0),
        (-0.5, 0.5),
    ],
)
def test_other_stereo_is_mixed(right: float, heard: float, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", np.stack([tone(3), right * tone(3)], axis=1))
    assert level(decode(path)) == pytest.approx(heard / 2**0.5, rel=0.01)


def test_the_mix_contains_two_different_channels(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", np.stack([tone(3), -tone(3, hertz=1000)], axis=1))
    found = np.abs(np.fft.rfft(decode(path)[:16_000]))
    assert set(np.argsort(found)[-2:]) == {440, 1000}


def test_stereo_keeps_its_channels(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", np.stack([tone(1), -tone(1)], axis=1))
    left, right = np.concatenate(list(decode_blocks(path, layout="stereo"))).T
    assert level(left) == pytest.approx(1, rel=0.01) and np.array_equal(left, -right)


@pytest.mark.parametrize("channels", [1, 2, 4, 6, 9, 64])
@pytest.mark.parametrize("rate", [8000, 44_100])
def test_each_channel_can_be_read_by_itself(channels: int, rate: int, tmp_path: Path) -> None:
    hertz = [200 + 40 * channel for channel in range(channels)]
    sound = np.stack([tone(12, rate, hertz=one) for one in hertz], axis=1)
    blocks = list(decode_blocks(write_channels(tmp_path / "a.wav", sound, 0, rate), layout="apart"))
    samples = np.concatenate(blocks)
    assert samples.shape == (12 * 16_000, channels)
    found = np.abs(np.fft.rfft(samples[:16_000], axis=0)).argmax(axis=0)
    assert found.tolist() == hertz
    assert all(block.nbytes <= 8 << 20 for block in blocks)


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
def test_channels_that_change_midway_keep_their_first_number(first: int, second: int, tmp_path: Path) -> None:
    joined = b""
    for channels in (first, second):
        part = write_sound(tmp_path / "part.mp3", np.stack([tone(5)] * channels, axis=1))
        joined += part.read_bytes()
    (tmp_path / "joined.mp3").write_bytes(joined)
    samples = np.concatenate(list(decode_blocks(tmp_path / "joined.mp3", layout="apart")))
    assert samples.shape[1] == first
    assert level(samples[6 * 16_000 : 9 * 16_000]) > 0.5


@pytest.mark.parametrize("codec", ["pcm_f32le", "pcm_f64le"])
@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_an_invalid_sample_does_not_change_others(
    value: float, channels: int, rate: int, codec: str, tmp_path: Path
) -> None:
    sound = np.stack([tone(2, rate)] * channels, axis=1)
    clean = decode(write_sound(tmp_path / "clean.wav", sound, rate, codec=codec))
    sound[rate, -1] = value
    samples = decode(write_sound(tmp_path / "a.wav", sound, rate, codec=codec))
    assert np.isfinite(samples).all() and np.abs(samples).max() <= 8
    assert len(samples) == len(clean)
    assert (np.abs(samples - clean) > 0.001).sum() < 60, "a few milliseconds"


def test_a_loud_mix_is_not_changed(tmp_path: Path) -> None:
    samples = decode(write_sound(tmp_path / "a.wav", 15 * tone(1), codec="pcm_f32le"))
    assert np.abs(samples).max() == pytest.approx(5, rel=0.01)
