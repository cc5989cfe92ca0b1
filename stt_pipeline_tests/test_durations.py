"""Formats of durations."""

import pytest

from stt_pipeline.durations import clock, format_duration, format_rough_duration, subtitle_time


def test_clock_and_subtitle_time() -> None:
    assert [clock(seconds) for seconds in (0.0, 59.99, 60.0, 3599.0, 3600.0, -1.0)] == ["0:00", "0:59", "1:00", "59:59", "1:00:00", "0:00"]  # fmt: skip
    assert subtitle_time(3_723_004, ",") == "01:02:03,004"
    assert subtitle_time(360_000_000, ".") == "100:00:00.000"
    assert clock(8_123 * 3600 + 1) == "8,123:00:01"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (-3, "0 s"),
        (59.4, "59 s"),
        (59.9, "1 min"),
        (3569, "59 min"),
        (3599, "1 h 0 min"),
        (47 * 3600 + 90, "47 h 2 min"),
        (76 * 3600, "3 d 4 h"),
    ],
)
def test_lengths_of_time(seconds: float, written: str) -> None:
    assert format_rough_duration(seconds) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(48.4, "48 s"), (725, "12 min 5 s"), (12_000, "3 h 20 min"), (4_000 * 3600, "4,000 h 0 min")],
)
def test_durations(seconds: float, written: str) -> None:
    assert format_duration(seconds) == written
