"""`stt db`: the schema of the database, and the index of its texts."""

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

app = typer.Typer(no_args_is_help=True, help="The schema of the database, and its index for search.")

_TELL_EVERY = 1_000


@app.command()
def upgrade() -> None:
    """Bring the database to this version's schema; safe to call at any time."""
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
            "--all", help="Also what is in the index already, such as after an upgrade of kiwipiepy."
        ),
    ] = False,
) -> None:
    """Make transcripts and minutes searchable that are not yet: those of before the search was there.

    May be interrupted, and goes on where it was; runs may work meanwhile. --all starts from the beginning.
    """
    with connected() as database:
        count = 0
        for count, _ in enumerate(search_index.reindex(database, force=everything), start=1):
            if count % _TELL_EVERY == 0:
                print_status(f"{count:,} transcripts so far")
        print_result(f"Indexed: {count:,} transcripts.")
