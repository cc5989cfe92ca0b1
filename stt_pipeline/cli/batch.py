"""`stt batch`: start batches and watch them. Writes and reads rows; the dispatcher in `stt up` does the work."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Column, Table

from stt_pipeline.audio.uris import display_name
from stt_pipeline.batches.creation import create_batch
from stt_pipeline.batches.options import BatchOptions
from stt_pipeline.batches.progress import Progress, progress
from stt_pipeline.cli.connection import connected
from stt_pipeline.cli.terminal import err, out, say
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.store import batches, files
from stt_pipeline.store.batches import Priority
from stt_pipeline.store.database import Database

app = typer.Typer(no_args_is_help=True, help="Start batches of recordings and watch them.")

BatchId = Annotated[
    int, typer.Argument(metavar="ID", help="The batch's number, as `stt batch list` shows it.")
]

_SILENT = timedelta(seconds=60)  # the dispatcher ticks every few seconds
_EXAMPLES = 5  # failed files that are named


@app.command()
def create(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Folder with the recordings, or file:///folder.")
    ],
    pattern: Annotated[
        str,
        typer.Option(
            help="Globs separated by commas, such as '**/*.wav'; else every known audio and video ending."
        ),
    ] = "",
    name: Annotated[str, typer.Option(help="Name of the batch; else the folder's.")] = "",
    priority: Annotated[Priority, typer.Option(help="Batches of higher priority go first.")] = "normal",
    notify: Annotated[
        list[str] | None, typer.Option(help="Email address that gets the minutes and the report; repeatable.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=VALUE that overrides a setting for this batch, such as model=demo; repeatable. "
            f"Names: {', '.join(BatchOptions.model_fields)}."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Start a batch: `stt up` transcribes the recordings of SOURCE, writes minutes and mails them."""
    with connected() as database:
        batch = create_batch(
            database,
            source_path=source,
            file_pattern=pattern,
            name=name,
            priority=priority,
            notify_emails=notify or (),
            options=parsed_options(option or ()),
            created_by="stt batch create",
        )
        figures = progress(database, batch.id)
    if as_json:
        out.print_json(json.dumps({"id": batch.id, "status": batch.status, "source": batch.source_path}))
    else:
        out.print(f"Batch {batch.id} is created: {batch.source_path}", soft_wrap=True)
        out.print(f"Watch it with: stt batch progress {batch.id} --watch", soft_wrap=True)
    _warn_if_silent(figures)


@app.command("progress")
def show_progress(
    batch_id: BatchId,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, with a progress bar, until the batch is over.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show how far a batch is, and what failed. Exit code 1 if the batch is over and none of its files succeeded."""
    with connected() as database:
        figures = progress(database, batch_id)
        if watch and not figures.is_over:
            _warn_if_silent(figures)
            figures = watched(database, batch_id)
        with database.begin() as connection:
            failures = [
                (display_name(file.uri), file.error) for file in files.failed(connection, batch_id, _EXAMPLES)
            ]
    if as_json:
        out.print_json(json.dumps(asdict(figures), default=datetime.isoformat))
    else:
        out.print(_table(figures))
        for name, error in failures:
            say(f"{name}: {error}", style="red")
        if figures.failed > len(failures):
            say(f"... and {figures.failed - len(failures):,} more", style="red")
    if not figures.is_over:
        _warn_if_silent(figures)
    if figures.status == "failed":
        raise typer.Exit(1)


@app.command("list")
def list_batches(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
) -> None:
    """List the newest batches."""
    table = Table("id", "name", "status", "files", "created", Column("source", overflow="fold"))
    with connected() as database, database.begin() as connection:
        for batch in batches.latest(connection, limit):
            table.add_row(
                str(batch.id),
                batch.name,
                batch.status,
                "" if batch.total_files is None else f"{batch.total_files:,}",
                f"{batch.created_at.astimezone():%Y-%m-%d %H:%M}",
                batch.source_path,
            )
    out.print(table)


def watched(database: Database, batch_id: int, *, stop_on_error: bool = False) -> Progress:
    """Draw a live progress bar on stderr until the batch is over, and return its last figures.

    Args:
        stop_on_error: return as soon as the batch cannot move, instead of waiting for somebody to mend it.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    began = time.monotonic()
    told = set[str]()
    with ProgressBar(*columns, console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("waiting", total=None, note="")
        while True:
            figures = progress(database, batch_id)
            bar.update(
                task,
                description=figures.status,
                total=figures.total_files,
                completed=figures.completed + figures.failed,
                note=f"{figures.failed} failed" if figures.failed else "",
            )
            if figures.is_over or (figures.error and stop_on_error):
                return figures
            # a dispatcher that was just started is given time for its first tick
            silence = _silence(figures) if time.monotonic() - began > _SILENT.total_seconds() else None
            for note in (figures.error, silence):
                if note and note not in told:
                    say(note, style="yellow")
                    told.add(note)
            time.sleep(0.5)


def _warn_if_silent(figures: Progress) -> None:
    if silence := _silence(figures):
        say(silence, style="yellow")


def _silence(figures: Progress) -> str | None:
    """Say that nobody works, so that a stopped daemon does not look like a slow batch; None where somebody does."""
    last = figures.dispatcher_last_tick
    if last is not None and datetime.now(timezone.utc) - last < _SILENT:
        return None
    since = f"since {last.astimezone():%Y-%m-%d %H:%M:%S}" if last else "yet"
    return f"The dispatcher has not ticked {since}: nothing moves until `stt up` runs."


def parsed_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Turn NAME=VALUE arguments into options; what names and values may be is for the options' type to say.

    Raises:
        InvalidRequestError: an argument has no ``=``.
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InvalidRequestError(f"--option wants NAME=VALUE, not {pair!r}.")
        options[name.strip()] = value
    return options


def _table(figures: Progress) -> Table:
    table = Table(show_header=False)
    total = "not scanned yet" if figures.total_files is None else f"{figures.total_files:,}"
    by_class = ", ".join(f"{name} {count:,}" for name, count in figures.failures_by_class.items())
    rows = {
        "batch": f"{figures.batch_id} {figures.name}",
        "status": figures.status,
        "files": total,
        "completed": f"{figures.completed:,}",
        "failed": f"{figures.failed:,}" + (f" ({by_class})" if by_class else ""),
        "still to do": f"{figures.pending:,}",
        "done": f"{figures.progress_percentage:.1f} %",
        "audio done": f"{figures.audio_hours_done:.2f} h",
    }
    if figures.real_time_factor is not None:
        rows["real-time factor"] = f"{figures.real_time_factor:.3f} (seconds of work a second of audio)"
    if figures.error:
        rows["note"] = figures.error
    for name, value in rows.items():
        table.add_row(name, value)
    return table
