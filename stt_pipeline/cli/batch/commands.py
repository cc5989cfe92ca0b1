"""The commands of `stt batch`, in the order of its help."""

import typer

from stt_pipeline.cli.batch import lifecycle
from stt_pipeline.cli.batch.create import create
from stt_pipeline.cli.batch.estimate import estimate_source
from stt_pipeline.cli.batch.failures import failures
from stt_pipeline.cli.batch.list import list_batches
from stt_pipeline.cli.batch.progress import show_progress
from stt_pipeline.cli.batch.review import review
from stt_pipeline.cli.batch.show import show

app = typer.Typer(no_args_is_help=True, help="Create batches of recordings, follow them and control them.")
app.command("estimate")(estimate_source)
app.command()(create)
app.command("list")(list_batches)
app.command()(show)
app.command("progress")(show_progress)
app.command()(failures)
app.command()(review)
app.command()(lifecycle.pause)
app.command()(lifecycle.resume)
app.command()(lifecycle.retry)
app.command()(lifecycle.cancel)
app.command()(lifecycle.delete)
