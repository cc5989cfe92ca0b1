"""A recording as a file, for backends that upload one."""

import wave
from pathlib import Path

import numpy as np
import pytest

from stt_pipeline.audio.sound import SoundFile, SoundInMemory


@pytest.mark.parametrize("channels", [1, 2])
def test_a_sound_in_memory_is_a_temporary_file_where_one_is_needed(channels: int) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (1600, channels)).astype(np.float32)
    sound = SoundInMemory(samples[:, 0] if channels == 1 else samples)
    with sound.as_file() as path:
        with wave.open(str(path)) as file:
            assert (file.getnchannels(), file.getframerate()) == (channels, 16_000)
            written = np.frombuffer(file.readframes(1600), "<i2").reshape(-1, channels) / 32767
        assert np.allclose(written, samples, atol=1e-4)
    assert not path.exists()


def test_a_sound_file_is_the_file_itself(tmp_path: Path) -> None:
    with SoundFile(tmp_path / "a.wav").as_file() as path:
        assert path == tmp_path / "a.wav"
