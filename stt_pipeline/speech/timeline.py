"""A small picture of who spoke when, for people to glance at. It shows no name, word or file of the recording."""

from collections.abc import Sequence
from io import BytesIO

from stt_pipeline.speech.transcript import SpeakerTurn

_WIDTH, _MARGIN, _ROW = 700, 40, 25  # pixels
_DPI = 100
_LEFT, _RIGHT, _TOP, _BOTTOM = 100, 20, 10, 30  # pixels around the rows: labels, half a time, air, axis

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C7A00", "#7F7F7F")
"""Okabe and Ito's palette for colour-blind readers; its yellow and black would vanish on white and on black pages."""

_TICK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # seconds
_MOST_TICKS = 9  # as many as 700 pixels hold

_INK = "#808080"  # the grey that can be read on a white and on a black page


def speaker_timeline_png(turns: Sequence[SpeakerTurn], duration: float) -> bytes:
    """Return a PNG, 700 pixels wide and 40 + 25 x speakers high: a row and a colour for each speaker over the time.

    The background is transparent, and the colours are readable on light and on dark pages. Equal input gives equal
    bytes.

    Args:
        turns: who speaks when, in seconds; without any, the picture says that there is no speech.
        duration: length of the recording in seconds, the right end of the axis.
    """
    from matplotlib.figure import Figure  # not pyplot: it keeps every figure in a global list
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    speakers = sorted({turn.speaker for turn in turns})
    rows = max(len(speakers), 1)
    height = _MARGIN + _ROW * rows
    figure = Figure(figsize=(_WIDTH / _DPI, height / _DPI), dpi=_DPI)
    axes = figure.add_axes(
        (
            _LEFT / _WIDTH,
            _BOTTOM / height,
            (_WIDTH - _LEFT - _RIGHT) / _WIDTH,
            (height - _TOP - _BOTTOM) / height,
        )
    )
    for row, speaker in enumerate(speakers):
        spans = [(turn.start, turn.end - turn.start) for turn in turns if turn.speaker == speaker]
        axes.broken_barh(spans, (row - 0.35, 0.7), facecolors=_COLOURS[row % len(_COLOURS)], linewidth=0)
    if not speakers:
        axes.text(0.5, 0.5, "no speech", transform=axes.transAxes, ha="center", va="center", color=_INK)

    axes.set_xlim(0, max(duration, 1e-3))  # a time axis cannot have no length
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks(range(len(speakers)), speakers)
    axes.xaxis.set_major_locator(MultipleLocator(_tick_step(duration)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: _clock(seconds)))
    axes.tick_params(colors=_INK, labelsize=8, length=3)
    axes.tick_params(axis="y", length=0)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(_INK)

    png = BytesIO()
    figure.savefig(png, format="png", transparent=True, metadata={"Software": None})
    return png.getvalue()


def _tick_step(duration: float) -> int:
    """Return the smallest round step that leaves the axis readable; whole hours for very long recordings."""
    hours = 3600 * (1 + int(duration / 3600 / _MOST_TICKS))
    return next((step for step in _TICK_STEPS if duration / step <= _MOST_TICKS), hours)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
