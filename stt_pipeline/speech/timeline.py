"""A small picture of the speaker turns of a recording. It shows no name, word or file name."""

from collections.abc import Sequence
from io import BytesIO

from stt_pipeline.durations import clock
from stt_pipeline.speech.transcript import SpeakerTurn

_WIDTH, _MARGIN, _ROW = 700, 40, 25  # pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = (
    100,
    20,
    10,
    30,
)  # pixels around the rows: labels, half a tick label, space, axis
_BAR = 8  # pixels above and below the middle of a row
_FONT = 11  # pixels

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C7A00", "#7F7F7F")
"""Okabe and Ito's palette for colour-blind readers, without its yellow and black: they are invisible on white and on black pages."""

_TICK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # seconds
_MAX_TICKS = 9  # what 700 pixels have room for

_INK = "#808080"  # readable on a white and on a black page


def speaker_timeline_png(turns: Sequence[SpeakerTurn], duration: float) -> bytes:
    """Return a PNG, 700 pixels wide and 40 + 25 x speakers high: time from left to right, one row for each speaker.

    The background is transparent; the colours are readable on light and on dark pages. Equal input gives equal bytes.

    Args:
        turns: in seconds; if there are none, the picture shows "no speech".
        duration: length of the recording in seconds, the right end of the axis.
    """
    from PIL import Image, ImageDraw, ImageFont

    speakers = sorted({turn.speaker for turn in turns})
    rows = max(len(speakers), 1)
    axis = _TOP + _ROW * rows
    # transparent, but in the colour of the letters, so that they have no dark edges
    picture = Image.new("RGBA", (_WIDTH, _MARGIN + _ROW * rows), f"{_INK}00")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_FONT)
    width = _WIDTH - _LEFT - _RIGHT

    def x(seconds: float) -> float:
        return _LEFT + width * seconds / max(duration, 1e-3)  # the axis needs a length

    for row, speaker in enumerate(speakers):
        y = _TOP + _ROW * row + _ROW // 2
        draw.text((_LEFT - 8, y), speaker, _INK, font, anchor="rm")
        for turn in turns:
            if turn.speaker == speaker:
                box = (x(turn.start), y - _BAR, max(x(turn.start), x(turn.end) - 1), y + _BAR)
                draw.rectangle(box, _COLOURS[row % len(_COLOURS)])
    if not speakers:
        draw.text((_LEFT + width // 2, _TOP + _ROW // 2), "no speech", _INK, font, anchor="mm")
    draw.line((_LEFT, axis, _LEFT + width, axis), _INK)
    step = _tick_step(duration)
    for seconds in range(0, int(duration) + 1, step):
        draw.line((x(seconds), axis, x(seconds), axis + 4), _INK)
        draw.text((x(seconds), axis + 8), clock(seconds), _INK, font, anchor="mt")

    png = BytesIO()
    picture.save(png, format="png")
    return png.getvalue()


def _tick_step(duration: float) -> int:
    """Return the smallest round step with at most `_MAX_TICKS` ticks; whole hours for very long recordings."""
    hours = 3600 * (1 + int(duration / 3600 / _MAX_TICKS))
    return next((step for step in _TICK_STEPS if duration / step <= _MAX_TICKS), hours)
