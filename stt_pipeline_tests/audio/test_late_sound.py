"""Times of the samples are times of the film: late tracks, gaps, and starts that cannot be right."""

from pathlib import Path

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode
from stt_pipeline.audio.probe import probe
from stt_pipeline.audio.sandbox.container import Clock
from stt_pipeline.audio.sound import SoundFile, all_samples
from stt_pipeline_tests.audio.sound_files import tone, write_pauses, write_tracks


def first_sound(samples: np.ndarray) -> float:
    """Return the second at which the sound begins."""
    return float(np.argmax(np.abs(samples) > 0.05)) / 16_000


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "ts"])
def test_sound_that_begins_later_than_the_picture(suffix: str, tmp_path: Path) -> None:
    path = write_tracks(tmp_path / f"a.{suffix}", [tone(4)], starts=[5.0], film=10)
    samples = decode(path)
    assert first_sound(samples) == pytest.approx(5, abs=0.1)
    assert len(samples) / 16_000 == pytest.approx(9, abs=0.2)
    assert probe(path).duration == pytest.approx(len(samples) / 16_000, abs=0.15)


def test_sound_that_begins_with_the_picture_is_not_moved(tmp_path: Path) -> None:
    assert first_sound(decode(write_tracks(tmp_path / "a.mp4", [tone(4)], film=4))) < 0.1


def test_a_late_track_is_mixed_at_its_time(tmp_path: Path) -> None:
    tracks = [tone(8, hertz=300), tone(4, hertz=700)]
    path = write_tracks(tmp_path / "a.mkv", tracks, starts=[0.0, 3.0])
    samples = all_samples(SoundFile(path, audio_track="all"))
    levels = [np.abs(np.fft.rfft(samples[at * 16_000 : (at + 1) * 16_000]))[700] for at in (1, 4)]
    assert levels[0] < 100 < 1_000 < levels[1]


def test_short_gaps_add_up(tmp_path: Path) -> None:
    """Fifty lost packets of 60 ms are three seconds."""
    path = write_pauses(tmp_path / "a.mkv", packets=50, pause=0.06)
    assert len(decode(path)) / 16_000 == pytest.approx(1 + 49 * 0.06, abs=0.15)
    assert probe(path).duration == pytest.approx(1 + 49 * 0.06, abs=0.15)


def test_jitter_is_no_gap() -> None:
    clock = Clock()
    for number in range(1_000):
        assert clock.advance(number * 0.02 + 0.04 * (number % 2), 0.02) == 0
    assert clock.elapsed == pytest.approx(20)


@pytest.mark.parametrize(
    ("start", "end", "time", "pause"),
    [
        (0.0, 100.0, 5.0, 5.0),
        (0.0, 2_000.0, 900.0, 900.0),  # a gap of any length within the file
        (0.0, 100.0, 900.0, 0.0),  # behind its end
        (0.0, None, 900.0, 0.0),
        (0.0, 1e9, 1e6, 0.0),  # more than an hour
        (5.0, 100.0, 0.0, 0.0),
        (None, None, 5.0, 0.0),
    ],
)
def test_pauses_that_are_believed(start: float | None, end: float | None, time: float, pause: float) -> None:
    clock = Clock(start, end)
    assert clock.advance(time, 1.0) == pause
    assert clock.advance(time + 1.0, 1.0) == 0, "time goes on from there"
    assert clock.elapsed == pause + 2
