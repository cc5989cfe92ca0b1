"""`stt demo`: runs the sample meetings through the whole product, and scores the results against their references."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

import stt_pipeline
from stt_pipeline.batches.keys import BatchKey
from stt_pipeline.batches.queries.progress import Progress
from stt_pipeline.batches.queries.scores import FileScore, Totals, score_batch, totals
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.cli.batch.watch import watched
from stt_pipeline.cli.demo_page import write_page
from stt_pipeline.cli.stack_lock import running_stack
from stt_pipeline.cli.supervisor import Stack
from stt_pipeline.cli.terminal import err, out, print_status, program
from stt_pipeline.errors import ConfigurationError, SttError
from stt_pipeline.settings import Settings
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database
from stt_pipeline.store.results import emails
from stt_pipeline.store.server.embedded import with_database

PAGE = "demo.html"
"""In ``STT_HOME``: the recordings of the last demo."""

_RECIPIENT = "team@example.com"  # a domain that is reserved for examples: it receives no mail


def demo(
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one JSON object of figures on stdout.")
    ] = False,
    samples: Annotated[
        Path | None,
        typer.Option(
            help="Folder of recordings, with their references in reference/. Default: the samples of the checkout."
        ),
    ] = None,
) -> None:
    """Run the sample meetings through a Dagster instance with the demo model, and score the results.

    Nothing is downloaded: the demo model is in the package, and knows only the vocabulary of the samples.
    """
    folder = samples or Path(stt_pipeline.__file__).parents[1] / "samples"
    if not (folder / "reference").is_dir():
        raise ConfigurationError(
            f"{folder} has no samples with references: run `stt demo` from a checkout, or give --samples."
        )
    settings = Settings()
    # a running stack sends real mails if a mail server is configured
    recipients = [] if settings.smtp_url and running_stack(settings) else [_RECIPIENT]
    with _instance(settings) as (database, ui_url):
        batch = create_batch(
            database,
            BatchRequest(
                source_path=str(folder),
                name="demo",
                notify_emails=recipients,
                options=BatchOptions(model="demo"),
            ),
            actor=Actor("stt demo"),
        )
        print_status(f"Batch {batch.id}: {folder} · follow it in the Dagster UI: {ui_url}")
        figures = watched(database, batch.id, stop_on_error=True)
        if figures.error:
            raise SttError(figures.error)
        scores = score_batch(database, batch.id, folder / "reference")
        with database.begin() as connection:
            result = totals(scores, figures, emails.sent_of_batch(connection, batch.id))
        page = settings.home.absolute() / PAGE
        has_page = write_page(database, batch.id, page)
    (err if as_json else out).print(score_table(scores, result))
    for score in scores:
        if score.speech.error:
            print_status(f"{score.speech.name}: {score.speech.error}", style="red")
    _print_places(settings, figures, page if has_page else None)
    if as_json:
        typer.echo(json.dumps(result.as_json()))
    if figures.failed or figures.status != "completed":
        raise typer.Exit(1)


@contextmanager
def _instance(settings: Settings) -> Iterator[tuple[Database, str]]:
    """Yield the database and UI address of a running `stt up`, else of a stack that runs for the length of the block."""
    running = running_stack(settings)
    if running:
        with with_database(settings) as url, _opened(url) as database:
            yield database, running.ui_url
        return
    os.environ["STT_SMTP_URL"] = (
        ""  # the demo writes mails to the outbox, even if a mail server is configured
    )
    print_status("Starting Postgres and Dagster ...")
    free_port = settings.model_copy(update={"ui_port": 0, "smtp_url": ""})
    with (
        Stack(free_port, print_status=print_status) as stack,
        _opened(stack.database_url) as database,
    ):
        print_status(f"Ready after {stack.start_seconds:.1f} s.")
        yield database, stack.ui_url


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        database.dispose()


def score_table(scores: list[FileScore], result: Totals) -> Table:
    """Return a table with a row for each recording, telephone ones last, and the totals; at most 80 columns wide."""
    table = Table(
        box=SIMPLE_HEAD,
        padding=0,
        show_edge=False,
        title="Results against the references",
        caption="CER and DER in percent, DER without collar. The 8 kHz telephone recording is not in the totals: the "
        "demo model is not trained for it.",
    )
    table.add_column("file", overflow="fold")
    for column in ("status", "lang"):
        table.add_column(column, no_wrap=True)
    for column in ("length", "speakers", "CER", "DER", "actions"):
        table.add_column(column, justify="right", no_wrap=True)
    for score in sorted(scores, key=lambda score: (score.telephone, score.speech.name)):
        speech = score.speech
        table.add_row(
            f"{speech.name} (8 kHz)" if score.telephone else speech.name,
            Text(score.status, style="red" if score.status == "failed" else ""),
            speech.language,
            f"{speech.audio_seconds:.0f} s",
            "{} of {}".format(*speech.speakers) if speech.speakers else "-",
            *(f"{100 * rate.rate:.1f}" if (rate := speech.rates[name]) else "-" for name in ("cer", "der")),
            "{} of {}".format(*score.action_items),
        )
    table.add_section()
    table.add_row(
        Text("total", style="bold"),
        f"{result.succeeded} of {result.files}",
        "",
        f"{result.audio_seconds:.0f} s",
        f"{result.speakers_correct} of {result.scored}",
        f"{100 * result.cer:.1f}",
        f"{100 * result.der:.1f}",
        f"{result.action_items_found} of {result.action_items_expected}",
    )
    return table


def _print_places(settings: Settings, figures: Progress, page: Path | None) -> None:
    home = settings.home.absolute()
    batch = BatchKey(figures.batch_id)
    seconds = (figures.completed_at - figures.created_at).total_seconds() if figures.completed_at else 0.0
    export = f"{program()} export {figures.batch_id}"
    lines = {
        "read, listen": f"open {page} in a browser: transcripts, minutes and audio",
        "other formats": f"{export} --output-dir transcripts --format txt,md,docx",
        "Parquet": f"{settings.data_root}/transcripts/batch={batch} and .../minutes/batch={batch}",
        "mails": str(home / "outbox"),
        "Dagster UI": f"{program()} up, then assets, lineage, partitions and runs at the address it prints",
    }
    if page is None:
        del lines["read, listen"]
    print_status(
        f"\nDone in {seconds:.0f} s from the batch's creation to its completion. The results are in:"
    )
    for name, place in lines.items():
        print_status(f"  {name:14} {place}")
