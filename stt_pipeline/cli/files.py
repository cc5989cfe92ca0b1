"""`stt files` and `stt file`: the recordings of a batch, and recordings found by name."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from stt_pipeline.audio.address import Address, display_name
from stt_pipeline.batches.queries.file_lists import FileCursor, ListedFile, list_files
from stt_pipeline.batches.queries.file_search import FoundFile, find_files
from stt_pipeline.cli.batch.arguments import AsJsonLines, BatchId, OfClass, valid_id
from stt_pipeline.cli.connection import connected
from stt_pipeline.cli.terminal import out, print_facts, print_json, print_status
from stt_pipeline.durations import format_duration
from stt_pipeline.errors import InvalidRequestError, NotFoundError
from stt_pipeline.store.manifest.files import AudioFile, FileStatus

Limit = Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of files.")]
InBatch = Annotated[
    int | None, typer.Option("--batch", metavar="ID", callback=valid_id, help="Only in this batch.")
]
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A part of the file's name or path, or its whole address.")
]


def files(
    batch_id: BatchId,
    status: Annotated[FileStatus | None, typer.Option(help="Only files with this status.")] = None,
    error_class: OfClass = None,
    limit: Limit = 50,
    after: Annotated[
        str, typer.Option(metavar="CURSOR", help="Continue where the previous page ended.")
    ] = "",
    as_json: AsJsonLines = False,
) -> None:
    """List the recordings of a batch: in the order of the source, failed ones by error class."""
    with connected() as database:
        found = list_files(
            database, batch_id, limit + 1, status=status, error_class=error_class, after=_cursor(after)
        )
    page = found[:limit]
    if as_json:
        for one in page:
            print_json(_described(one))
    elif page:
        out.print(_table(page))
    else:
        print_status(f"Batch {batch_id} has no {'more ' if after else ''}files like that.")
    if len(found) > limit and not as_json:
        filters = (f" --status {status}" if status else "") + (
            f" --class {error_class}" if error_class else ""
        )
        cursor = json.dumps([page[-1].cursor.group, page[-1].cursor.id], separators=(",", ":"))
        print_status(f"More: stt files {batch_id}{filters} --limit {limit} --after '{cursor}'")


def file(name: Name, batch_id: InBatch = None, limit: Limit = 20, as_json: AsJsonLines = False) -> None:
    """Find recordings by name, also in a batch of millions: their state, error and transcript.

    Exit code 2 if there is none.
    """
    with connected() as database:
        found = find_files(database, name, batch_id=batch_id, limit=limit + 1)
    page = found[:limit]
    if as_json:
        for one in page:
            print_json({"batch_id": one.batch.id, **_described(one)})
    elif len(page) == 1:
        print_facts(_facts(page[0]))
        if page[0].transcription_id is not None:
            print_status(f"Read it: stt show {page[0].transcription_id}")
    elif page:
        out.print(table_of_found(page))
    if not page:
        raise NotFoundError(not_found(name, batch_id))
    if len(found) > limit and not as_json:
        print_status(f"There are more than {limit}: give a longer part of the name, or --limit.")


def not_found(name: str, batch_id: int | None) -> str:
    """Return the message that no recording has this name."""
    place = f"batch {batch_id}" if batch_id is not None else "any batch"
    return f"No recording of {place} has {name!r} in its path. `stt batch list` shows the batches."


def table_of_found(found: Sequence[FoundFile]) -> Table:
    """Return a table of files of several batches."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for column in ("batch", "transcript"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("file", overflow="fold")
    for one in found:
        table.add_row(str(one.batch.id), _number(one.transcription_id), one.file.status, one.path)
    return table


def _table(page: Sequence[ListedFile]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("transcript", justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("length", justify="right", no_wrap=True)
    table.add_column("file", overflow="fold", ratio=2)
    table.add_column("error", overflow="fold", ratio=3)
    for one in page:
        table.add_row(
            _number(one.transcription_id),
            one.file.status,
            _length(one.file),
            _shown_path(one),
            one.file.error or "",
        )
    return table


def _shown_path(one: ListedFile) -> str:
    if one.repeats is None:
        return one.path
    return f"{one.path} (repeats {display_name(one.repeats.uri)} of batch {one.repeats.batch_id})"


def _facts(found: FoundFile) -> dict[str, str]:
    file = found.file
    facts = {
        "file": found.path,
        "address": Address.parse(file.uri).readable,
        "batch": f"{found.batch.id} {found.batch.name}",
        "status": file.status,
        "length": _length(file) or "not probed yet",
        "size": f"{file.size:,} bytes",
        "transcript": _number(found.transcription_id) or "none yet",
    }
    if found.repeats:
        original = Address.parse(found.repeats.uri).readable
        facts["repeats"] = f"{original} of batch {found.repeats.batch_id}: the same content"
    if file.error:
        facts["error"] = f"{file.error_class}: {file.error}"
        facts["attempts"] = str(file.attempts)
    return facts


def _described(one: ListedFile | FoundFile) -> dict[str, object]:
    file = one.file
    return {
        "id": file.id,
        "path": one.path,
        "uri": file.uri,
        "size": file.size,
        "status": file.status,
        "attempts": file.attempts,
        "error_class": file.error_class,
        "error": file.error,
        "duration": file.duration,
        "transcription_id": one.transcription_id,
        "repeats": asdict(one.repeats) if one.repeats else None,
    }


def _cursor(after: str) -> FileCursor | None:
    if not after:
        return None
    try:
        group, last = json.loads(after)
        return FileCursor(group if isinstance(group, str) else int(group), int(last))
    except (ValueError, TypeError):
        raise InvalidRequestError(
            f"--after needs the value that the previous page printed, such as '[12,345]', not {after!r}."
        ) from None


def _length(file: AudioFile) -> str:
    return format_duration(file.duration) if file.duration is not None else ""


def _number(transcription_id: int | None) -> str:
    return "" if transcription_id is None else str(transcription_id)
