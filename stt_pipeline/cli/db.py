"""`stt db`: the schema of the database, and its search index."""

from typing import Annotated

import typer

from stt_pipeline.batches.stages import search_index
from stt_pipeline.cli.connection import connected
from stt_pipeline.cli.terminal import out, print_result, print_status
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import upgrade as migrate
from stt_pipeline.store.results import transcriptions
from stt_pipeline.store.server.embedded import with_database
from stt_pipeline.store.server.url import place_of

app = typer.Typer(no_args_is_help=True, help="Upgrade the database schema, and rebuild the search index.")

_STATUS_INTERVAL = 1_000  # transcripts


@app.command()
def upgrade() -> None:
    """Upgrade the database to this version's schema; safe to run at any time."""
    with with_database(Settings()) as url:
        migrate(url)
        database = Database(url)
        with database.begin() as connection:
            transcriptions.ensure_months(connection)
        database.dispose()
        out.print(f"The schema is current: {place_of(url)}", soft_wrap=True)


@app.command()
def reindex(
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Index again what is in the index already, for example after an upgrade of kiwipiepy.",
        ),
    ] = False,
) -> None:
    """Index the transcripts and minutes that are not in the search index, such as those of older versions.

    It can be interrupted and continues from there; runs can work meanwhile. --all starts from the beginning.
    """
    with connected() as database:
        count = 0
        for count, _ in enumerate(search_index.reindex(database, force=everything), start=1):
            if count % _STATUS_INTERVAL == 0:
                print_status(f"{count:,} transcripts so far")
        print_result(f"Indexed: {count:,} transcripts.")
