"""`stt watch`: adds, lists and removes watches. A watch polls a source and creates batches of its new files."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.address import display_source
from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.sqs import QueueAccess
from stt_pipeline.batches.requests.backend_choice import notifier_for
from stt_pipeline.batches.requests.batch_request import WatchRequest
from stt_pipeline.batches.requests.create import create_watch, remove_watch
from stt_pipeline.batches.requests.recipients import delivery_warnings
from stt_pipeline.batches.requests.validation import validated
from stt_pipeline.cli.batch.arguments import (
    AsJson,
    AsJsonLines,
    Emails,
    Options,
    Pattern,
    Source,
    Urgency,
    described,
    parsed_options,
    valid_id,
)
from stt_pipeline.cli.batch.formatting import local_time, table_time, zone
from stt_pipeline.cli.connection import actor, connected
from stt_pipeline.cli.dispatcher import warn_if_stale
from stt_pipeline.cli.terminal import out, print_facts, print_json, print_result, print_status
from stt_pipeline.settings import Settings
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.manifest.watches import Batching, DeadLetter, Watch

_PAGE = 200
_LATEST = 10  # batches and dead letters that are shown
_BATCHING = {"daily": "one per day", "arrival": "one per poll"}

WatchId = Annotated[
    int,
    typer.Argument(metavar="ID", callback=valid_id, help="Number of the watch, as in `stt watch list`."),
]

app = typer.Typer(no_args_is_help=True, help="Watch sources: new files become batches automatically.")


@app.command()
def add(
    source: Source,
    pattern: Pattern = "",
    name: Annotated[str, typer.Option(help=described("name", WatchRequest))] = "",
    batches: Annotated[Batching, typer.Option(help=described("batching", WatchRequest))] = "daily",
    queue: Annotated[str, typer.Option(help=described("queue_url", WatchRequest))] = "",
    priority: Urgency = "normal",
    notify: Emails = None,
    option: Options = None,
    new_only: Annotated[bool, typer.Option("--new-only", help=described("new_only", WatchRequest))] = False,
    as_json: AsJson = False,
) -> None:
    """Watch SOURCE: while `stt up` runs, its new files are transcribed."""
    settings = Settings()
    request = validated(
        WatchRequest,
        {
            "source_path": source,
            "file_pattern": pattern,
            "name": name,
            "batching": batches,
            "queue_url": queue,
            "priority": priority,
            "notify_emails": notify or [],
            "options": parsed_options(option or ()),
            "new_only": new_only,
        },
    )
    warnings = delivery_warnings(request.notify_emails, notifier_for(settings))
    access = SourceAccess.interactive(settings)
    with connected() as database:
        watch = create_watch(
            database,
            request,
            allowed=AllowedSources.for_users(settings.allowed_sources, access),
            queues=QueueAccess.of(settings),
            actor=actor("stt watch add"),
        )
        if as_json:
            print_json({"id": watch.id, "name": watch.name, "source": watch.source_path})
        else:
            print_result(f"Watch {watch.id} ({watch.name}) is added: {display_source(watch.source_path)}")
            print_result(f"See its batches with: stt watch show {watch.id}")
        for warning in warnings:
            print_status(warning, style="yellow")
        warn_if_stale(database)


@app.command("list")
def list_watches(as_json: AsJsonLines = False) -> None:
    """List the watches, their file counts and their errors."""
    found: list[Watch] = []
    with connected() as database, database.snapshot() as connection:
        while page := watches.page(connection, _PAGE, after=found[-1].id if found else 0):
            found += page
        queues = {watch.queue_url for watch in found if watch.queue_url}
        dead = {url: watches.count_dead_letters(connection, url) for url in queues}
    if as_json:
        for watch in found:
            print_json({**_values(watch), "dead_letters": dead.get(watch.queue_url, 0)})
    elif found:
        out.print(_table(found))
        for watch in found:
            if problem := _problem(watch, dead.get(watch.queue_url, 0)):
                print_status(f"Watch {watch.id}: {problem}", style="yellow")
    else:
        print_status("No watch exists yet. Add one with: stt watch add s3://bucket/prefix")


@app.command()
def show(watch_id: WatchId, as_json: AsJson = False) -> None:
    """Show a watch, its latest batches, and the dead letters of its queue."""
    with connected() as database, database.snapshot() as connection:
        watch = watches.get(connection, watch_id)
        batch_ids = watches.latest_batches(connection, watch_id, _LATEST)
        letters = watches.latest_dead_letters(connection, watch.queue_url, _LATEST) if watch.queue_url else []
    if as_json:
        print_json(
            {**_values(watch), "batches": batch_ids, "dead_letters": [asdict(letter) for letter in letters]}
        )
        return
    print_facts(_facts(watch, batch_ids))
    for letter in letters:
        print_status(f"Dead letter of {local_time(letter.at)}: {letter.error}", style="yellow")
        print_status(_excerpt(letter))


@app.command()
def remove(watch_id: WatchId, as_json: AsJson = False) -> None:
    """Remove a watch. Its batches stay and continue."""
    with connected() as database:
        watch = remove_watch(database, watch_id, actor=actor("stt watch remove"))
    if as_json:
        print_json({"id": watch.id, "name": watch.name, "source": watch.source_path})
    else:
        print_result(f"Watch {watch.id} ({watch.name}) is removed; its batches stay.")


def _values(watch: Watch) -> dict[str, Any]:
    values = asdict(watch)
    return {**values, **values.pop("cursor")}


def _facts(watch: Watch, batch_ids: Sequence[int]) -> dict[str, str]:
    options = ", ".join(f"{name}={value}" for name, value in watch.options.items())
    facts = {
        "watch": f"{watch.id} {watch.name}",
        "source": display_source(watch.source_path),
        "pattern": watch.file_pattern or "every known audio and video extension",
        "accepts": f"files changed since {local_time(watch.since)}" if watch.since else "all files",
        "found by": watch.queue_url or "listing",
        "batches": f"{_BATCHING[watch.batching]}, priority {watch.priority}",
        "options": options or "none: those of the settings",
        "mail to": ", ".join(watch.notify_emails) or "none",
        "added": f"{local_time(watch.created_at)}, by {watch.created_by or 'unknown'}",
        "last poll": _when(watch.looked_at),
        "last new file": _when(watch.found_at),
        "files": f"{watch.files:,}",
        "latest batches": ", ".join(map(str, batch_ids)) or "none",
    }
    if not watch.queue_url:
        facts["last full scan"] = _when(watch.swept_at)
    return facts | ({"error": watch.error} if watch.error else {})


def _problem(watch: Watch, dead_letters: int) -> str:
    if watch.error:
        return watch.error
    return (
        f"dead letters in its queue: {dead_letters:,}. See: stt watch show {watch.id}" if dead_letters else ""
    )


def _table(found: Sequence[Watch]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("id", justify="right", no_wrap=True)
    table.add_column("name", overflow="fold")
    table.add_column("source", overflow="fold")
    table.add_column("found by", overflow="fold")
    for column in ("last poll", "last file"):
        table.add_column(f"{column} ({zone()})", no_wrap=True)
    table.add_column("files", justify="right", no_wrap=True)
    for watch in found:
        table.add_row(
            str(watch.id),
            watch.name,
            display_source(watch.source_path),
            f"queue {watch.queue_url.rpartition('/')[2]}" if watch.queue_url else "listing",
            *(table_time(at) for at in (watch.looked_at, watch.found_at)),
            f"{watch.files:,}",
        )
    return table


def _when(moment: datetime | None) -> str:
    return local_time(moment) if moment else "not yet"


def _excerpt(letter: DeadLetter) -> str:
    # the body is untrusted: remove control characters, which a terminal would interpret
    text = "".join(char if char.isprintable() else "\ufffd" for char in " ".join(letter.body.split()))
    return text if len(text) <= 300 else f"{text[:300]}…"
