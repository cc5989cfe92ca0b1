"""Which recordings have channels that are transcribed apart, and the removal of bleed."""

from collections.abc import Iterator

import numpy as np
import pytest

from stt_pipeline.audio.decode import SAMPLE_RATE, decode
from stt_pipeline.audio.sound import SoundFile, SoundInMemory
from stt_pipeline.speech.channels import ApartChannels, ChannelSound, read_channels
from stt_pipeline_tests.conftest import REAL, SAMPLES, needs_real_speech
from stt_pipeline_tests.speech.diarization_samples import Samples, two_channels

SECONDS = 40
RANDOM = np.random.default_rng(0)


def apart(samples: Samples) -> ApartChannels | None:
    return read_channels(SoundInMemory(samples.astype(np.float32)))[0]


def sample(name: str) -> Samples:
    return decode(SAMPLES / name)[: SECONDS * SAMPLE_RATE]


def noise(level: float, *shape: int) -> Samples:
    return RANDOM.normal(0, 10 ** (level / 20), shape).astype(np.float32)


def late(samples: Samples, seconds: float) -> Samples:
    return np.pad(samples, (round(seconds * SAMPLE_RATE), 0))[: len(samples)]


def reverberated(samples: Samples) -> Samples:
    length = SAMPLE_RATE // 5
    response = noise(0, length) * np.exp(-np.arange(length) / (0.04 * SAMPLE_RATE))
    size = len(samples) + length
    found = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)[: len(samples)]
    return np.asarray(found / np.sqrt((response**2).sum()), np.float32)


@pytest.fixture(scope="module")
def one() -> Samples:
    return sample("weekly-budget.wav")


@pytest.fixture(scope="module")
def other() -> Samples:
    return sample("year-end.mp3")


@pytest.fixture(scope="module")
def turns() -> Samples:
    """Two speakers in turns, on a channel each, with faint noise."""
    return two_channels(-90, 1.0)[: SECONDS * SAMPLE_RATE]


@pytest.mark.parametrize("gain", [0, -30])
@pytest.mark.parametrize("level", [-100, -60])
def test_two_speakers_at_once(one: Samples, other: Samples, gain: float, level: float) -> None:
    found = apart(np.stack([one, other * 10 ** (gain / 20)], axis=1) + noise(level + gain, len(one), 2))
    assert found and found.count == 2
    assert (found.bleed == -np.inf).all()


@pytest.mark.parametrize("gain", [1.0, 0.03])
def test_two_speakers_in_turns(turns: Samples, gain: float) -> None:
    assert apart(turns * [1, gain])


def test_a_second_speaker_who_says_little(one: Samples, other: Samples) -> None:
    little = np.where(np.arange(len(other)) // SAMPLE_RATE % 20 == 10, other, 0)
    assert apart(np.stack([one, little], axis=1) + noise(-70, len(one), 2))


def test_one_speaker_on_each_of_four_channels(one: Samples, other: Samples) -> None:
    quarters = np.arange(len(one)) * 4 // len(one)
    four = np.stack([np.where(quarters == channel, one, 0) for channel in range(4)], axis=1)
    found = apart(four + noise(-70, len(one), 4))
    assert found and found.count == 4


@pytest.mark.parametrize(
    "second",
    [
        lambda one: one,
        lambda one: -one,
        lambda one: one * 0.03,
        lambda one: late(one, 0.02),
        lambda one: one * 0.5 + noise(-60, len(one)),
        reverberated,
        lambda one: np.where(np.arange(len(one)) < len(one) // 2, one, 0),
        lambda one: one * 0,
        lambda one: noise(-50, len(one)),
        lambda one: reverberated(one) * 0.03,
    ],
    ids=[
        "dual mono", "inverted", "attenuated", "delayed", "noisy", "reverberated", "same half of the time", "silent",
        "noise", "only bleed",
    ],
)  # fmt: skip
def test_channels_with_the_same_or_no_audio_are_mixed(one: Samples, second) -> None:  # type: ignore[no-untyped-def]
    samples = np.stack([one, second(one)], axis=1).astype(np.float32)
    found, blocks = read_channels(SoundInMemory(samples))
    assert found is None
    assert np.allclose(np.concatenate(list(blocks)), samples.mean(axis=1, keepdims=True))


@pytest.mark.parametrize("distance", [late, lambda samples, seconds: reverberated(late(samples, seconds))])
@pytest.mark.parametrize("bleed", [-6, -10])
def test_microphones_of_one_table_are_mixed(turns: Samples, bleed: float, distance) -> None:  # type: ignore[no-untyped-def]
    echo = np.stack([distance(turns[:, 1], 0.003), distance(turns[:, 0], 0.003)], axis=1)
    assert apart(turns + echo * 10 ** (bleed / 20)) is None


@pytest.mark.parametrize("seconds", [0.005, 0.15])
@pytest.mark.parametrize(("bleed", "gain"), [(-20, 1.0), (-20, 0.1), (-30, 1.0)])
def test_faint_bleed_is_removed(turns: Samples, bleed: float, gain: float, seconds: float) -> None:
    echo = np.stack([late(turns[:, 1], seconds), late(turns[:, 0], seconds)], axis=1) * 10 ** (bleed / 20)
    mixed = ((turns + echo) * [1, gain]).astype(np.float32)
    found, blocks = read_channels(SoundInMemory(mixed))
    assert found
    assert found.bleed[0, 1] + found.bleed[1, 0] == pytest.approx(2 * bleed, abs=4)
    clean = np.concatenate(list(blocks))
    assert clean.shape == mixed.shape
    kept = (turns * clean).sum(axis=0) / (turns * mixed).sum(axis=0)
    assert (kept > 0.98).all()
    assert ((echo * clean).sum(axis=0) < 0.1 * (echo * mixed).sum(axis=0)).all()


def test_a_channel_is_a_recording_of_its_own(turns: Samples) -> None:
    found = apart(turns)
    assert found
    sound = ChannelSound(SoundInMemory(turns), found, 1)
    assert np.array_equal(np.concatenate(list(sound.blocks())), turns[:, 1])
    assert np.array_equal(np.concatenate(list(sound.channel_blocks())), turns[:, 1:])
    assert np.array_equal(np.concatenate(list(sound.stereo_blocks())), turns[:, [1, 1]])
    with sound.as_file() as path:
        assert np.allclose(decode(path), turns[:, 1], atol=1e-4)


@needs_real_speech
@pytest.mark.parametrize(
    ("name", "are_apart"),
    [("stereo_two_channels.wav", True), ("jfk.flac", False), ("multilingual.mp3", False)],
)
def test_real_recordings(name: str, are_apart: bool) -> None:
    assert (read_channels(SoundFile(REAL / name))[0] is not None) == are_apart


class InUnevenBlocks(SoundInMemory):
    """Yields blocks of 1 s and less, and counts them."""

    read = opened = 0

    def channel_blocks(self) -> Iterator[Samples]:
        self.opened += 1
        for block in super().channel_blocks():
            for part in np.array_split(block, np.cumsum([777, *[SAMPLE_RATE] * 29])):
                if len(part):
                    self.read += 1
                    yield part


def test_the_length_of_blocks_changes_nothing(turns: Samples) -> None:
    echo = turns[:, ::-1] * 0.1
    mixed = (turns + echo).astype(np.float32)
    whole, blocks = read_channels(SoundInMemory(mixed))
    parts, uneven = read_channels(InUnevenBlocks(mixed))
    assert whole and parts and np.array_equal(whole.bleed, parts.bleed)
    assert np.array_equal(np.concatenate(list(blocks)), np.concatenate(list(uneven)))


def test_a_mono_recording_is_read_once(one: Samples) -> None:
    sound = InUnevenBlocks(one[:, None])
    found, blocks = read_channels(sound)
    assert found is None and sound.read == 1
    assert np.array_equal(np.concatenate(list(blocks)), one[:, None])
    assert sound.opened == 1


def test_a_long_recording_is_not_read_twice_to_its_end(one: Samples) -> None:
    sound = InUnevenBlocks(np.tile(one, 20)[:, None].repeat(2, axis=1))
    assert read_channels(sound)[0] is None
    assert sound.read < 200


def test_reading_ends_where_nothing_is_wanted(turns: Samples) -> None:
    sound = InUnevenBlocks(turns)
    wanted = iter([True] * 10 + [False] * 1000)
    _, blocks = read_channels(sound, lambda: next(wanted))
    assert list(blocks) == []
    assert sound.read <= 12


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("length", [0, 1, 700])
def test_recordings_shorter_than_a_window(length: int, channels: int) -> None:
    samples = noise(-20, length, channels)
    found, blocks = read_channels(SoundInMemory(samples))
    assert found is None
    assert sum(map(len, blocks)) == length
