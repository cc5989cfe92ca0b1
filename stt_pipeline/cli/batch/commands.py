"""`stt batch` as a whole: which commands there are, in the order in which the help shows them."""

import typer

from stt_pipeline.cli.batch import life
from stt_pipeline.cli.batch.create import create
from stt_pipeline.cli.batch.failures import failures
from stt_pipeline.cli.batch.list import list_batches
from stt_pipeline.cli.batch.progress import show_progress
from stt_pipeline.cli.batch.review import review
from stt_pipeline.cli.batch.show import show

app = typer.Typer(no_args_is_help=True, help="Start batches of recordings, watch them and steer them.")
app.command()(create)
app.command("list")(list_batches)
app.command()(show)
app.command("progress")(show_progress)
app.command()(failures)
app.command()(review)
app.command()(life.pause)
app.command()(life.resume)
app.command()(life.retry)
app.command()(life.cancel)
app.command()(life.delete)
