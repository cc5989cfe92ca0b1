"""Arguments that several commands take."""

from typing import Annotated

import typer

from stt_pipeline.errors import ErrorClass
from stt_pipeline.store.tables import LARGEST_ID


def fitting(number: int | None) -> int | None:
    """Refuse what can be no id."""
    if number is not None and number > LARGEST_ID:
        raise typer.BadParameter("there is no such number.")
    return number


BatchId = Annotated[
    int,
    typer.Argument(metavar="ID", callback=fitting, help="The batch's number, as `stt batch list` shows it."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AsJsonLines = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
OfClass = Annotated[
    ErrorClass | None, typer.Option("--class", help="Only files that failed under this error class.")
]
