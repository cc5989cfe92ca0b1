"""The options of subtitles, and the limits that follow from them and from the language.

The default limits are those of the Netflix Timed Text Style Guides: general requirements
(https://partnerhelp.netflixstudios.com/hc/en-us/articles/215758617), Korean (.../articles/216001127), and those of Japanese,
Chinese and English.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from stt_pipeline.errors import InvalidRequestError

LINE_WIDTHS: Final = (8, 200)
LINE_COUNTS: Final = (1, 10)
CUE_SECONDS: Final = (1.0, 60.0)
"""The smallest and the largest value of each option."""

MIN_CUE_SECONDS: Final = 5 / 6
"""General requirements of Netflix: 20 frames at 24 frames a second."""

GAP_SECONDS: Final = 2 / 24
"""Between two cues, from the same guide: two frames."""

_FULL_WIDTH: Final = {"ko": (16, 12.0), "ja": (13, 4.0), "zh": (16, 9.0), "yue": (16, 9.0)}
"""Characters a line and characters a second for adults; a Latin letter, a digit, a mark or a space counts half."""

_OTHERS: Final = (42, 17.0)


@dataclass(frozen=True, slots=True)
class SubtitleOptions:
    """How a transcript is cut into cues.

    Attributes:
        max_line_width: characters of a line with the speaker's label; in Korean, Japanese and Chinese a Latin letter, digit,
            mark or space counts half, and in other languages a full-width character counts two. None for the language's limit:
            16 in Korean and Chinese, 13 in Japanese, 42 in others.
        max_line_count: lines of a cue.
        max_cue_seconds: the longest time of a cue, in seconds.
        speaker_labels: name the speaker where the speaker changes (srt), or in each voice tag (vtt).
        review_notes: say what is missing or doubtful: marks in the text, and notes before it.

    Raises:
        InvalidRequestError: a value is out of its range.
    """

    max_line_width: int | None = None
    max_line_count: int = 2
    max_cue_seconds: float = 7.0
    speaker_labels: bool = True
    review_notes: bool = True

    def __post_init__(self) -> None:
        for name, value, (low, high), unit in (
            ("max_line_width", self.max_line_width, LINE_WIDTHS, "characters"),
            ("max_line_count", self.max_line_count, LINE_COUNTS, "lines"),
            ("max_cue_seconds", self.max_cue_seconds, CUE_SECONDS, "seconds"),
        ):
            if value is not None and not low <= value <= high:
                raise InvalidRequestError(f"{name} is {value}: give {low:g} to {high:g} {unit}.")


SUBTITLES: Final = SubtitleOptions()


@dataclass(frozen=True, slots=True)
class CueLimits:
    """The limits of the cues of one language.

    Attributes:
        width: columns of a line; a full-width character has two.
        lines: lines of a cue.
        seconds: the longest time of a cue.
        columns_per_second: the reading speed of adults.
    """

    width: int
    lines: int
    seconds: float
    columns_per_second: float


@lru_cache(maxsize=64)
def cue_limits(options: SubtitleOptions, language: str) -> CueLimits:
    """Return the limits for text in ``language``, a code of Whisper."""
    is_full_width = language in _FULL_WIDTH
    width, speed = _FULL_WIDTH.get(language, _OTHERS)
    columns = 2 if is_full_width else 1
    return CueLimits(
        (options.max_line_width or width) * columns,
        options.max_line_count,
        options.max_cue_seconds,
        speed * columns,
    )
