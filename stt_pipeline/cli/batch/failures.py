"""`stt batch failures`: lists the files of a batch that failed permanently, a page at a time."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from stt_pipeline.audio.address import display_name, display_path
from stt_pipeline.cli.batch.arguments import AsJsonLines, BatchId, OfClass
from stt_pipeline.cli.connection import connected
from stt_pipeline.cli.terminal import out, print_json, print_status
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import batches
from stt_pipeline.store.tables import LARGEST_ID


def failures(
    batch_id: BatchId,
    error_class: OfClass = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of files.")] = 50,
    after: Annotated[
        str, typer.Option(metavar="CLASS:ID", help="Continue after this file, the last of the previous page.")
    ] = "",
    as_json: AsJsonLines = False,
) -> None:
    """List the failed files, by error class and in the order of the source.

    `stt batch retry` starts them again. docs/data.md explains the error classes.
    """
    place = _place(after) if after else None
    with connected() as database, database.snapshot() as connection:
        source = batches.get(connection, batch_id).source_path
        found = files.failed(connection, batch_id, limit + 1, error_class=error_class, after=place)
    page, more = found[:limit], found[limit:]
    if as_json:
        for file in page:
            print_json(_described(file, source))
    elif page:
        out.print(_table(page, source))
    else:
        kind = f" of class {error_class}" if error_class else ""
        print_status(f"Batch {batch_id} has no {'more ' if after else ''}failed files{kind}.")
    if more and not as_json:
        filters = f" --class {error_class}" if error_class else ""
        last = f"{page[-1].error_class}:{page[-1].id}"
        print_status(f"More: stt batch failures {batch_id}{filters} --limit {limit} --after {last}")


def error_without_name(file: AudioFile) -> str:
    """Return the error message of a failed file without the file name in front, which is shown beside it."""
    return (file.error or "").removeprefix(f"{display_name(file.uri)} ")


def _place(after: str) -> tuple[str, int]:
    error_class, _, number = after.rpartition(":")
    if not (error_class and number.isdecimal() and int(number) <= LARGEST_ID):
        raise InvalidRequestError(
            f"--after needs CLASS:ID as printed at the end of a page, such as download:123, not {after!r}."
        )
    return error_class, int(number)


def _table(page: Sequence[AudioFile], source: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("class", no_wrap=True)
    table.add_column("attempts", justify="right", no_wrap=True)
    table.add_column("file", overflow="fold", ratio=2)
    table.add_column("error", overflow="fold", ratio=3)
    for file in page:
        table.add_row(
            file.error_class, str(file.attempts), display_path(file.uri, source), error_without_name(file)
        )
    return table


def _described(file: AudioFile, source: str) -> dict[str, object]:
    return {
        "id": file.id,
        "path": display_path(file.uri, source),
        "uri": file.uri,
        "size": file.size,
        "attempts": file.attempts,
        "error_class": file.error_class,
        "error": file.error,
    }
