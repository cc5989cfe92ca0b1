"""The plot of a batch's throughput, from a minute to months."""

import struct
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from stt_pipeline.batches.queries.throughput_plot import throughput_png

START = datetime(2026, 1, 1, tzinfo=UTC)
LEFT, RIGHT = 84, 686  # where the time axis begins and ends, in pixels
FILES, HOURS = (0x00, 0x72, 0xB2), (0xE6, 0x9F, 0x00)

Throughput = list[tuple[datetime, int, float]]


def throughput(minutes: int, *, excluded: range = range(0)) -> Throughput:
    """Return ten files and an hour of audio in each minute, except in the minutes ``excluded``."""
    return [
        (START + timedelta(minutes=minute), 10, 3600.0) for minute in range(minutes) if minute not in excluded
    ]


def heights(png: bytes, colour: tuple[int, int, int]) -> list[int]:
    """Return the number of pixels of a colour in each column of the time axis."""
    pixels = np.asarray(Image.open(BytesIO(png)).convert("RGBA"))
    return list(np.all(pixels[:, LEFT + 2 : RIGHT - 2, :3] == colour, axis=2).sum(axis=0))


@pytest.mark.parametrize("minutes", [1, 2, 100, 2_000, 14_400, 200_000])
def test_a_steady_batch_is_a_rectangle_and_a_slope_however_long_it_is(minutes: int) -> None:
    png = throughput_png(throughput(minutes))
    assert struct.unpack(">II", png[16:24]) == (700, 300)
    assert len(png) < 20_000
    files, hours = heights(png, FILES), heights(png, HOURS)
    assert max(files) - min(files) <= 1
    assert min(files) > 90
    assert hours[0] < 5
    assert hours[-1] > 90
    assert all(later >= earlier - 1 for earlier, later in pairwise(hours))


def test_a_pause_is_a_gap_and_a_shorter_last_bar_is_not_a_drop() -> None:
    png = throughput_png(throughput(1_001, excluded=range(250, 500)))
    files, hours = heights(png, FILES), heights(png, HOURS)
    width = len(files)
    assert files[round(width * 0.3) : round(width * 0.45)] == [0] * (round(width * 0.45) - round(width * 0.3))
    assert hours[round(width * 0.3)] == hours[round(width * 0.45)] > 0
    assert files[-1] == files[0] > 90


def test_files_that_all_failed_have_no_audio() -> None:
    png = throughput_png([(START, 5, 0.0)])
    assert sum(heights(png, HOURS)) == 0
    assert sum(heights(png, FILES)) > 0


def test_equal_input_gives_equal_bytes() -> None:
    assert throughput_png(throughput(3)) == throughput_png(throughput(3))
