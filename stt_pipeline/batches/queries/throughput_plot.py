"""A small picture of how a batch went over time, for people to glance at in its report. No figure is decided here."""

from collections.abc import Sequence
from datetime import datetime, timezone
from io import BytesIO
from math import ceil

_WIDTH, _HEIGHT = 700, 300  # pixels
_DPI = 100
_MOST_BARS = 120
_BAR_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)
_DAY = 1440  # minutes

_INK = "#808080"  # the grey that can be read on a white and on a black page
_FILES, _HOURS = "#0072B2", "#E69F00"


def throughput_png(throughput: Sequence[tuple[datetime, int, float]]) -> bytes:
    """Return a PNG, 700 x 300 pixels, transparent: above, files a minute; below, hours of audio done so far.

    The time runs from the first minute in which a file ended to the last one. A bar is a minute, or in long batches the
    mean of several. Equal input gives equal bytes.

    Args:
        throughput: (minute, files ended, seconds of audio done) in order, at least one; minutes without any left out.
    """
    from matplotlib.figure import Figure  # not pyplot: it keeps every figure in a global list
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    start = throughput[0][0]
    minutes = [round((minute - start).total_seconds() / 60) for minute, _, _ in throughput]
    length = minutes[-1] + 1
    unit, unit_minutes = _unit(length)
    figure = Figure(figsize=(_WIDTH / _DPI, _HEIGHT / _DPI), dpi=_DPI)
    above, below = figure.subplots(2, 1, sharex=True)
    figure.subplots_adjust(left=0.12, right=0.98, top=0.96, bottom=0.16, hspace=0.25)

    bar = _bar_minutes(length)
    starts = range(0, length, bar)
    widths = [min(bar, length - start) for start in starts]  # the last one may be cut off
    files = [0] * len(starts)
    for minute, (_, ended, _) in zip(minutes, throughput, strict=True):
        files[minute // bar] += ended
    above.bar(
        [minute / unit_minutes for minute in starts],
        [count / width for count, width in zip(files, widths, strict=True)],
        [width / unit_minutes for width in widths],
        align="edge",
        color=_FILES,
        linewidth=0,
    )
    times, hours = [0.0], [0.0]
    for minute, (_, _, seconds) in zip(minutes, throughput, strict=True):
        times += [minute / unit_minutes, (minute + 1) / unit_minutes]
        hours += [hours[-1], hours[-1] + seconds / 3600]
    below.fill_between(times, hours, color=_HOURS, linewidth=0)

    below.set_xlabel(f"{unit} since {start.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC")
    below.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    for axes, label in ((above, "files a minute"), (below, "audio hours")):
        axes.set_ylabel(label)
        axes.set_xlim(0, length / unit_minutes)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
        axes.tick_params(colors=_INK, labelsize=8, length=3)
        for axis in (axes.xaxis, axes.yaxis):
            axis.label.set(color=_INK, fontsize=8)
        for name, spine in axes.spines.items():
            spine.set_visible(name == "bottom")
            spine.set_color(_INK)
    figure.align_ylabels()
    png = BytesIO()
    figure.savefig(png, format="png", transparent=True, metadata={"Software": None})
    return png.getvalue()


def _bar_minutes(length: int) -> int:
    """Return how many of ``length`` minutes a bar stands for: a round number, whole days for very long batches."""
    days = _DAY * ceil(length / _DAY / _MOST_BARS)
    return next((minutes for minutes in _BAR_MINUTES if length / minutes <= _MOST_BARS), days)


def _unit(length: int) -> tuple[str, int]:
    """Return the unit in which people think of ``length`` minutes, and how many minutes it has."""
    if length <= 120:
        return "minutes", 1
    return ("hours", 60) if length <= 3 * _DAY else ("days", _DAY)
