"""`stt db`: the schema of the database."""

import typer

from stt_pipeline.cli.terminal import out
from stt_pipeline.settings import Settings
from stt_pipeline.store import transcriptions
from stt_pipeline.store.address import place_of
from stt_pipeline.store.database import Database
from stt_pipeline.store.embedded import with_database
from stt_pipeline.store.migrations import upgrade as migrate

app = typer.Typer(no_args_is_help=True, help="The schema of the database.")


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


@app.callback()
def _group() -> None:
    """Keep `upgrade` a subcommand, though it is the only one."""
