"""`stt export`: a batch's transcripts and minutes as files."""

from pathlib import Path
from typing import Annotated

import typer

from stt_pipeline.audio.uris import display_name
from stt_pipeline.batches.keys import clean_name
from stt_pipeline.cli.batch.arguments import BatchId
from stt_pipeline.cli.connection import connected
from stt_pipeline.cli.formats import parsed_formats, write_formats
from stt_pipeline.cli.terminal import say
from stt_pipeline.store import batches, files, summaries, transcriptions


def export(
    batch_id: BatchId,
    output_dir: Annotated[
        Path,
        typer.Option(help="Folder for the files, made if missing; files of an earlier export are replaced."),
    ] = Path("export"),
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="What to write, separated by commas: txt, srt, vtt (transcript), json, md (with minutes).",
        ),
    ] = "md",
) -> None:
    """Write the transcripts and minutes of batch ID, one file for each recording and format.

    Recordings without a transcript are left out. Exit code 1 if there was nothing to write.
    """
    kinds = parsed_formats(formats)
    written = total = 0
    with connected() as database:
        with database.begin() as connection:
            batches.get(connection, batch_id)
        with database.connect() as connection:
            for file in files.of_batch(connection, batch_id):
                total += 1
                stored = transcriptions.of_file(connection, file)
                if stored is None or stored.status == "outdated":
                    continue
                summary = summaries.of_file(connection, file)
                name = display_name(file.uri)
                write_formats(
                    # two recordings of one batch may have the same name in different folders
                    output_dir / f"{file.id:08d}-{clean_name(name)}",
                    kinds,
                    name=name,
                    transcript=stored.transcript,
                    minutes=summary.minutes if summary else None,
                )
                written += 1
    if not written:
        say(
            f"Nothing was written: no recording of batch {batch_id} has a transcript. "
            f"`stt batch progress {batch_id}` shows how far it is.",
            style="yellow",
        )
        raise typer.Exit(1)
    rest = "" if written == total else "; the others have no transcript"
    say(f"{written} of {total} recordings written to {output_dir}{rest}")
