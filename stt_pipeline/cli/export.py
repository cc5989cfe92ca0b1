"""`stt export`: writes the transcripts and minutes of a batch to files."""

from dataclasses import replace
from typing import Annotated

import typer

from stt_pipeline.batches.keys import BatchKey
from stt_pipeline.batches.queries.export import recordings
from stt_pipeline.cli.batch.arguments import BatchId
from stt_pipeline.cli.connection import connected
from stt_pipeline.cli.formats import FORMATS_HELP, parsed_formats, write_formats
from stt_pipeline.cli.subtitle_flags import (
    MaxCueSeconds,
    MaxLineCount,
    MaxLineWidth,
    ReviewNotes,
    SpeakerLabels,
    subtitle_options,
)
from stt_pipeline.cli.terminal import print_status
from stt_pipeline.minutes.subtitles.options import SUBTITLES
from stt_pipeline.parquet import datasets
from stt_pipeline.parquet.files import data_folder
from stt_pipeline.settings import Settings
from stt_pipeline.store.queue import batches


def export(
    batch_id: BatchId,
    output_dir: Annotated[
        str,
        typer.Option(
            help="Folder for the files, created if missing, or an s3:// address; files of an earlier export are replaced. "
            "Default: exports/batch=ID in STT_DATA_URI, where they are deleted with the batch.",
            show_default=False,
        ),
    ] = "",
    formats: Annotated[
        str,
        typer.Option("--format", help=FORMATS_HELP),
    ] = "md",
    max_line_width: MaxLineWidth = None,
    max_line_count: MaxLineCount = SUBTITLES.max_line_count,
    max_cue_seconds: MaxCueSeconds = SUBTITLES.max_cue_seconds,
    speaker_labels: SpeakerLabels = SUBTITLES.speaker_labels,
    review_notes: ReviewNotes = SUBTITLES.review_notes,
) -> None:
    """Write the transcripts and minutes of batch ID, one file for each recording and format.

    Recordings without a transcript are skipped. Exit code 1 if there is nothing to write.
    """
    kinds = parsed_formats(formats)
    subtitles = subtitle_options(
        max_line_width, max_line_count, max_cue_seconds, speaker_labels, review_notes
    )
    folder = data_folder(Settings(), output_dir)
    if not output_dir:
        folder = datasets.exports_folder(folder, str(BatchKey(batch_id)))
    written = 0
    with connected() as database:
        with database.begin() as connection:
            total = batches.get(connection, batch_id).total_files or 0
        for recording in recordings(database, batch_id):
            write_formats(folder / recording.stem, kinds, replace(recording.content, subtitles=subtitles))
            written += 1
    if not written:
        print_status(
            f"Nothing was written: no recording of batch {batch_id} has a transcript. "
            f"`stt batch progress {batch_id}` shows its progress.",
            style="yellow",
        )
        raise typer.Exit(1)
    # a scan in progress may have written more files than it has counted
    total = max(total, written)
    rest = "" if written == total else "; the others have no transcript"
    print_status(f"{written} of {total} recordings written to {folder}{rest}")
