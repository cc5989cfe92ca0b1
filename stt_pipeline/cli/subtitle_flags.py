"""The flags of subtitles, for the commands that write srt and vtt. Names as in Whisper's own command, where it has them."""

from typing import Annotated, Final

import typer

from stt_pipeline.minutes.subtitles.options import CUE_SECONDS, LINE_COUNTS, LINE_WIDTHS, SubtitleOptions

_PANEL: Final = "Subtitles (srt, vtt)"

# no min and max here: SubtitleOptions says in one line which values there are
MaxLineWidth = Annotated[
    int | None,
    typer.Option(
        show_default=False,
        help="Characters of a line, with the speaker's label, {:g} to {:g}. Default: 16 in Korean and Chinese, 13 in Japanese "
        "(Latin letters, digits, marks and spaces count half), 42 in other languages.".format(*LINE_WIDTHS),
        rich_help_panel=_PANEL,
    ),
]
MaxLineCount = Annotated[
    int, typer.Option(help="Lines of a cue, {:g} to {:g}.".format(*LINE_COUNTS), rich_help_panel=_PANEL)
]
MaxCueSeconds = Annotated[
    float,
    typer.Option(
        help="The longest time of a cue, {:g} to {:g} seconds.".format(*CUE_SECONDS), rich_help_panel=_PANEL
    ),
]
SpeakerLabels = Annotated[
    bool,
    typer.Option("--speaker-labels/--no-speaker-labels", help="Name the speakers.", rich_help_panel=_PANEL),
]
ReviewNotes = Annotated[
    bool,
    typer.Option(
        "--review-notes/--no-review-notes",
        help="Say what is missing or doubtful: notes, and (?) after text that may be hallucinated.",
        rich_help_panel=_PANEL,
    ),
]


def subtitle_options(
    max_line_width: int | None,
    max_line_count: int,
    max_cue_seconds: float,
    speaker_labels: bool,
    review_notes: bool,
) -> SubtitleOptions:
    """Return the options of the flags, in the order of their definition."""
    return SubtitleOptions(max_line_width, max_line_count, max_cue_seconds, speaker_labels, review_notes)
