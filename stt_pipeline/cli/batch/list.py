"""`stt batch list`: lists batches, the newest first, a page at a time."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from stt_pipeline.batches.queries.progress import Overview, overviews
from stt_pipeline.cli.batch.arguments import AsJsonLines, valid_id
from stt_pipeline.cli.batch.formatting import percent, table_time, zone
from stt_pipeline.cli.connection import connected
from stt_pipeline.cli.terminal import out, print_json, print_status
from stt_pipeline.store.queue.batches import Filter, Status


def list_batches(
    status: Annotated[Status | None, typer.Option(help="Only batches with this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of batches.")] = 20,
    before: Annotated[
        int | None,
        typer.Option(metavar="ID", callback=valid_id, help="Only batches older than this one."),
    ] = None,
    as_json: AsJsonLines = False,
) -> None:
    """List batches and their progress, the newest first."""
    with connected() as database:
        found = overviews(database, limit + 1, before=before, filters=Filter(status=status))
    page, more = found[:limit], found[limit:]
    if as_json:
        for overview in page:
            print_json(asdict(overview))
    elif page:
        out.print(_table(page))
    else:
        older, filters = "older " if before else "", f" that is {status}" if status else ""
        print_status(f"There is no {older}batch{filters}.")
    if more and not as_json:
        options = f" --status {status}" if status else ""
        print_status(f"Older ones: stt batch list{options} --limit {limit} --before {page[-1].id}")


def _table(page: Sequence[Overview]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("id", justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("priority", no_wrap=True)
    for column in ("files", "done", "failed"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column(f"created ({zone()})", no_wrap=True)
    table.add_column("name", overflow="fold")
    for batch in page:
        is_scanned = batch.total_files is not None
        table.add_row(
            str(batch.id),
            batch.status,
            batch.priority,
            f"{batch.total_files:,}" if is_scanned else "-",
            percent(batch.progress_percentage) if is_scanned else "-",
            f"{batch.failed:,}" if is_scanned else "-",
            table_time(batch.created_at),
            batch.name,
        )
    return table
