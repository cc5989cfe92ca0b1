"""The chart of a batch's throughput over time, for its report. It draws figures; it computes none of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from itertools import accumulate
from math import ceil, floor, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

_WIDTH, _HEIGHT = 700, 300  # pixels
_LEFT, _RIGHT = 84, 686  # pixels: the ends of the time axis
_TOPS, _PANEL = (22, 152), 100  # pixels: the tops of the two panels, and their height
_HEADROOM = 1.05  # top of a panel over its highest value
_FONT = 11  # pixels
_MAX_BARS = 120
_BAR_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)
_DAY = 1440  # minutes

_INK = "#808080"  # a grey that is readable on white and on black pages
_FILES, _HOURS = "#0072B2", "#E69F00"


def throughput_png(throughput: Sequence[tuple[datetime, int, float]]) -> bytes:
    """Return a PNG, 700 x 300 pixels, transparent: above, files per minute; below, hours of audio done so far.

    The time axis runs from the first minute in which a file ended to the last one. A bar is one minute, or in long batches
    the mean of several. Equal input gives equal bytes.

    Args:
        throughput: (minute, files ended, seconds of audio done) in order, at least one; minutes without files are left out.
    """
    from PIL import Image, ImageDraw, ImageFont

    start = throughput[0][0]
    minutes = [round((minute - start).total_seconds() / 60) for minute, _, _ in throughput]
    length = minutes[-1] + 1
    bar = _bar_minutes(length)
    edges = [*range(0, length, bar), length]  # the last bar may be shorter
    files = [0] * (len(edges) - 1)
    hours = [0.0] * (len(edges) - 1)
    for minute, (_, ended, seconds) in zip(minutes, throughput, strict=True):
        files[minute // bar] += ended
        hours[minute // bar] += seconds / 3600

    # transparent, in the color of the ink, so that letters have no dark edges
    picture = Image.new("RGBA", (_WIDTH, _HEIGHT), f"{_INK}00")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(_FONT)
    xs = [_LEFT + (_RIGHT - _LEFT) * edge / length for edge in edges]
    rates = [count / (end - first) for count, first, end in zip(files, edges, edges[1:], strict=False)]
    base = _y_axis(draw, font, 0, "files per minute", highest := max(rates) or 1)
    for left, right, rate in zip(xs, xs[1:], rates, strict=False):
        if rate:
            top = base - _PANEL * rate / highest / _HEADROOM
            draw.rectangle((round(left), round(top), round(right) - 1, base), _FILES)
    done = list(accumulate(hours, initial=0.0))
    base = _y_axis(draw, font, 1, "audio hours", highest := done[-1] or 1)
    if done[-1]:
        line = [(x, base - _PANEL * value / highest / _HEADROOM) for x, value in zip(xs, done, strict=True)]
        draw.polygon([(_LEFT, base), *line, (_RIGHT, base)], _HOURS)
    _x_axis(draw, font, start, length)

    png = BytesIO()
    picture.save(png, format="png")
    return png.getvalue()


def _y_axis(
    draw: "ImageDraw", font: "FreeTypeFont | ImageFont", panel: int, label: str, highest: float
) -> int:
    """Draw the label and the ticks of a panel; return the y of its base line."""
    base = _TOPS[panel] + _PANEL
    draw.text((_LEFT, _TOPS[panel] - 6), label, _INK, font, anchor="ls")
    step = _tick_step(highest * _HEADROOM, 4)
    for tick in range(floor(highest * _HEADROOM / step) + 1):
        y = round(base - _PANEL * tick * step / highest / _HEADROOM)
        draw.line((_LEFT - 4, y, _LEFT - 1, y), _INK)
        draw.text((_LEFT - 8, y), f"{tick * step:,.10g}", _INK, font, anchor="rm")
    return base


def _x_axis(draw: "ImageDraw", font: "FreeTypeFont | ImageFont", start: datetime, length: int) -> None:
    """Draw the base lines of both panels, and the time axis below; ``length`` in minutes."""
    unit, unit_minutes = _unit(length)
    step = max(1, round(_tick_step(length / unit_minutes, 9)))
    for top in _TOPS:
        draw.line((_LEFT, top + _PANEL, _RIGHT, top + _PANEL), _INK)
        for tick in range(0, length // unit_minutes + 1, step):
            x = round(_LEFT + (_RIGHT - _LEFT) * tick * unit_minutes / length)
            draw.line((x, top + _PANEL, x, top + _PANEL + 4), _INK)
            if top == _TOPS[-1]:
                draw.text((x, top + _PANEL + 8), f"{tick}", _INK, font, anchor="mt")
    label = f"{unit} since {start.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    draw.text(((_LEFT + _RIGHT) / 2, _HEIGHT - 8), label, _INK, font, anchor="ms")


def _tick_step(highest: float, most: int) -> float:
    """Return the smallest step of 1, 2 or 5 times a power of ten with at most ``most`` steps up to ``highest``."""
    power: float = 10.0 ** floor(log10(highest / most))
    return next(factor * power for factor in (1, 2, 5, 10) if highest / (factor * power) <= most)


def _bar_minutes(length: int) -> int:
    """Return the minutes per bar for ``length`` minutes: a round number, whole days for very long batches."""
    days = _DAY * ceil(length / _DAY / _MAX_BARS)
    return next((minutes for minutes in _BAR_MINUTES if length / minutes <= _MAX_BARS), days)


def _unit(length: int) -> tuple[str, int]:
    """Return a readable unit for ``length`` minutes, and its length in minutes."""
    if length <= 120:
        return "minutes", 1
    return ("hours", 60) if length <= 3 * _DAY else ("days", _DAY)
