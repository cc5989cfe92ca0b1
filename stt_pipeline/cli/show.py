"""`stt show`: prints the minutes and the transcript of one recording."""

from typing import Annotated

import typer
from rich.markdown import Markdown

from stt_pipeline.batches.queries.export import export_transcription
from stt_pipeline.batches.queries.file_search import find_files
from stt_pipeline.cli.batch.arguments import valid_id
from stt_pipeline.cli.connection import connected
from stt_pipeline.cli.files import InBatch, not_found, table_of_found
from stt_pipeline.cli.formats import parsed_formats
from stt_pipeline.cli.subtitle_flags import (
    MaxCueSeconds,
    MaxLineCount,
    MaxLineWidth,
    ReviewNotes,
    SpeakerLabels,
    subtitle_options,
)
from stt_pipeline.cli.terminal import out, print_status
from stt_pipeline.errors import InvalidRequestError, NotFoundError
from stt_pipeline.minutes.exports import export_format
from stt_pipeline.minutes.subtitles.options import SUBTITLES
from stt_pipeline.store.database import Database

_FORMAT = "md"


def show(
    recording: Annotated[
        str,
        typer.Argument(
            metavar="NUMBER|NAME",
            help="Number of the transcript, as in `stt files` and `stt search`, or a part of the file's name.",
        ),
    ],
    batch_id: InBatch = None,
    format: Annotated[
        str, typer.Option("--format", help="A text format, such as md, txt, srt or json.")
    ] = _FORMAT,
    max_line_width: MaxLineWidth = None,
    max_line_count: MaxLineCount = SUBTITLES.max_line_count,
    max_cue_seconds: MaxCueSeconds = SUBTITLES.max_cue_seconds,
    speaker_labels: SpeakerLabels = SUBTITLES.speaker_labels,
    review_notes: ReviewNotes = SUBTITLES.review_notes,
) -> None:
    """Print the minutes and the transcript of a recording.

    Exit code 1 if several recordings have this name: they are listed with their numbers. 2 if there is none.
    """
    (kind,) = parsed_formats(format)[:1]
    if not export_format(kind).is_text:
        raise InvalidRequestError(f"{kind} is no text format: write a file with `stt export`.")
    subtitles = subtitle_options(
        max_line_width, max_line_count, max_cue_seconds, speaker_labels, review_notes
    )
    with connected() as database:
        transcription_id = _transcription_id(database, recording, batch_id)
        content = export_transcription(database, transcription_id, kind, subtitles).content
    text = content.decode()
    if kind == _FORMAT and out.is_terminal:
        out.print(Markdown(text))
    else:
        typer.echo(text, nl=False)


def _transcription_id(database: Database, recording: str, batch_id: int | None) -> int:
    if recording.isdecimal():
        return valid_id(int(recording)) or 0
    found = find_files(database, recording, batch_id=batch_id, limit=21)
    if not found:
        raise NotFoundError(not_found(recording, batch_id))
    with_text = [one for one in found if one.transcription_id is not None]
    if len(with_text) == 1:
        return with_text[0].transcription_id or 0
    if not with_text:
        raise NotFoundError(
            f"{found[0].path} has no transcript yet. `stt file {recording!r}` shows its state."
        )
    out.print(table_of_found(with_text[:20]))
    print_status("Several recordings have this name: give the number of the transcript to `stt show`.")
    raise typer.Exit(1)
