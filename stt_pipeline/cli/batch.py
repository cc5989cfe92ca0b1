"""`stt batch`: start batches and watch them. Writes and reads rows; the dispatcher in `stt up` does the work."""

import json
import time
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table

from stt_pipeline.batches.creation import create_batch
from stt_pipeline.batches.progress import Progress, progress
from stt_pipeline.cli.connection import connected
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.store import batches
from stt_pipeline.store.database import Database

app = typer.Typer(no_args_is_help=True, help="Start batches of recordings and watch them.")

console = Console()
errors = Console(stderr=True)

BatchId = Annotated[
    int, typer.Argument(metavar="ID", help="The batch's number, as `stt batch list` shows it.")
]

_SILENT = timedelta(seconds=60)  # the dispatcher ticks every 5 seconds


@app.command()
def create(
    source: Annotated[str, typer.Argument(help="Folder with the recordings, or file:///folder.")],
    pattern: Annotated[
        str,
        typer.Option(help="Globs separated by commas, such as '**/*.wav'; empty takes all known endings."),
    ] = "",
    name: Annotated[str, typer.Option(help="Name of the batch; empty takes the source's.")] = "",
    priority: Annotated[str, typer.Option(help="high, normal or low.")] = "normal",
    notify: Annotated[
        list[str] | None, typer.Option(help="Email address that gets the minutes and the report; repeatable.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=VALUE that overrides a setting for this batch, such as model=demo; repeatable."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Start a batch: process the recordings of SOURCE."""
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
        console.print_json(json.dumps({"id": batch.id, "status": batch.status, "source": batch.source_path}))
        return
    console.print(f"Batch [bold]{batch.id}[/] is written: {batch.source_path}", highlight=False)
    console.print(f"Watch it with: stt batch progress {batch.id} --watch", highlight=False)
    warn_if_silent(figures)


@app.command("progress")
def show_progress(
    batch_id: BatchId,
    watch: Annotated[bool, typer.Option("--watch", help="Stay until the batch is over.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show how far a batch is. Exit code 1 if it is over and failed."""
    with connected() as database:
        figures = watched(database, batch_id) if watch else progress(database, batch_id)
    if as_json:
        console.print_json(json.dumps(asdict(figures), default=str))
    else:
        console.print(_table(figures))
        if not figures.is_over:
            warn_if_silent(figures)
    if figures.status == "failed":
        raise typer.Exit(1)


@app.command("list")
def list_batches(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
) -> None:
    """List the newest batches."""
    table = Table("id", "name", "status", "files", "created", "source")
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
    console.print(table)


def watched(
    database: Database, batch_id: int, *, out: Console = console, stop_on_error: bool = False
) -> Progress:
    """Draw a live progress bar until the batch is over, and return its last figures.

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
    with ProgressBar(*columns, console=out, transient=not out.is_terminal) as bar:
        task = bar.add_task("waiting", total=None, note="")
        told = None
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
            if figures.error and figures.error != told:
                bar.console.print(f"[yellow]{figures.error}[/]", highlight=False)
                told = figures.error
            time.sleep(0.5)


def warn_if_silent(figures: Progress) -> None:
    """Say on stderr that nobody works, so that a stopped daemon does not look like a slow batch."""
    last = figures.dispatcher_last_tick
    if last is not None and datetime.now(timezone.utc) - last < _SILENT:
        return
    since = f"since {last.astimezone():%Y-%m-%d %H:%M:%S}" if last else "yet"
    errors.print(
        f"[yellow]The dispatcher has not ticked {since}: nothing moves until `stt up` runs.[/]",
        highlight=False,
    )


def parsed_options(pairs: "list[str] | tuple[str, ...]") -> dict[str, Any]:
    """Turn NAME=VALUE arguments into options; numbers and booleans are understood by the options' types.

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
    rows = {
        "batch": f"{figures.batch_id} {figures.name}",
        "status": figures.status,
        "files": total,
        "completed": f"{figures.completed:,}",
        "failed": ", ".join(f"{name} {count:,}" for name, count in figures.failures_by_class.items())
        or f"{figures.failed:,}",
        "pending": f"{figures.pending:,}",
        "done": f"{figures.progress_percentage:.1f} %",
        "audio": f"{figures.audio_hours_done:.2f} h",
        "mails": f"{figures.emails_sent:,}",
    }
    if figures.real_time_factor is not None:
        rows["real-time factor"] = f"{figures.real_time_factor:.3f}"
    if figures.error:
        rows["note"] = figures.error
    for name, value in rows.items():
        table.add_row(name, value)
    return table
