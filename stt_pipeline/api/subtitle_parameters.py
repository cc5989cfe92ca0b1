"""The query parameters of subtitles, which the endpoints that export transcripts share. They apply to srt and vtt."""

from typing import Annotated

from fastapi import Depends, Query

from stt_pipeline.minutes.subtitles.options import (
    CUE_SECONDS,
    LINE_COUNTS,
    LINE_WIDTHS,
    SUBTITLES,
    SubtitleOptions,
)


def _options(
    max_line_width: Annotated[
        int | None,
        Query(
            ge=LINE_WIDTHS[0],
            le=LINE_WIDTHS[1],
            description="srt, vtt: characters of a line, with the speaker's label. Default: 16 in Korean and Chinese, 13 in Japanese "
            "(Latin letters, digits, marks and spaces count half), 42 in other languages.",
        ),
    ] = None,
    max_line_count: Annotated[
        int, Query(ge=LINE_COUNTS[0], le=LINE_COUNTS[1], description="srt, vtt: lines of a cue.")
    ] = SUBTITLES.max_line_count,
    max_cue_seconds: Annotated[
        float, Query(ge=CUE_SECONDS[0], le=CUE_SECONDS[1], description="srt, vtt: the longest time of a cue.")
    ] = SUBTITLES.max_cue_seconds,
    speaker_labels: Annotated[
        bool, Query(description="srt, vtt: name the speakers.")
    ] = SUBTITLES.speaker_labels,
    review_notes: Annotated[
        bool,
        Query(
            description="srt, vtt: say what is missing or doubtful: notes, and (?) after text that may be hallucinated."
        ),
    ] = SUBTITLES.review_notes,
) -> SubtitleOptions:
    return SubtitleOptions(max_line_width, max_line_count, max_cue_seconds, speaker_labels, review_notes)


Subtitles = Annotated[SubtitleOptions, Depends(_options)]
