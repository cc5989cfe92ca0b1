"""`stt`: registers the commands, and turns errors of the product into a line on stderr and an exit code.

Exit codes: 0 done, 1 something failed, 2 the command or the configuration is wrong.
"""

import sys

import typer
from psycopg.errors import InsufficientPrivilege
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, OperationalError

from stt_pipeline.cli import db, key, watch
from stt_pipeline.cli.api import api
from stt_pipeline.cli.batch import commands as batch
from stt_pipeline.cli.demo import demo
from stt_pipeline.cli.doctor import doctor
from stt_pipeline.cli.evaluate import evaluate
from stt_pipeline.cli.export import export
from stt_pipeline.cli.files import file, files
from stt_pipeline.cli.search import search
from stt_pipeline.cli.setting_names import unknown_names
from stt_pipeline.cli.show import show
from stt_pipeline.cli.terminal import print_status
from stt_pipeline.cli.transcribe import transcribe
from stt_pipeline.cli.up import env, up
from stt_pipeline.errors import ConfigurationError, InvalidRequestError, SttError

app = typer.Typer(
    name="stt",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    help="Turn recordings of meetings into transcripts with speakers, minutes and mails. "
    "Settings are STT_* variables: see .env.example.",
)
app.command(rich_help_panel="Run it here")(demo)
app.command(rich_help_panel="Run it here")(up)
app.command(rich_help_panel="Run it here")(transcribe)
app.command(rich_help_panel="Run it here")(evaluate)
app.add_typer(batch.app, name="batch", rich_help_panel="Batches")
app.command(rich_help_panel="Results")(files)
app.command(rich_help_panel="Results")(file)
app.command(rich_help_panel="Results")(show)
app.command(rich_help_panel="Results")(search)
app.command(rich_help_panel="Results")(export)
app.add_typer(watch.app, name="watch", rich_help_panel="Batches")
app.command(rich_help_panel="Operate")(doctor)
app.add_typer(db.app, name="db", rich_help_panel="Operate")
app.command(rich_help_panel="Operate")(env)
app.command(rich_help_panel="Operate")(api)
app.add_typer(key.app, name="key", rich_help_panel="Operate")


def run() -> None:
    """Run the command line and exit."""
    try:
        for warning in unknown_names():
            print_status(warning, style="yellow")
        app()
    except (ConfigurationError, InvalidRequestError) as error:
        _fail(str(error), 2)
    except SttError as error:
        _fail(str(error), 1)
    except DBAPIError as error:
        if not isinstance(error, OperationalError) and not isinstance(error.orig, InsufficientPrivilege):
            raise
        _fail(f"Postgres: {' '.join(str(error.orig).split())}.", 1)
    except ValidationError as error:
        if error.title != "Settings":
            raise
        # without the values, since one of them may be a password
        _fail(
            "\n".join(f"STT_{str(field['loc'][0]).upper()}: {field['msg']}." for field in error.errors()), 2
        )


def _fail(message: str, code: int) -> None:
    print_status(message, style="red")
    sys.exit(code)


if __name__ == "__main__":
    run()
