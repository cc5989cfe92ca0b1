"""Arguments that several commands take."""

from typing import Annotated

import typer

from stt_pipeline.errors import ErrorClass

BatchId = Annotated[
    int, typer.Argument(metavar="ID", help="The batch's number, as `stt batch list` shows it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AsJsonLines = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
OfClass = Annotated[
    ErrorClass | None, typer.Option("--class", help="Only files that failed under this error class.")
]
