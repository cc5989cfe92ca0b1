"""Arguments and options that several commands share."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, get_origin

import typer

from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.errors import ErrorClass, InvalidRequestError
from stt_pipeline.store.queue.batches import Priority
from stt_pipeline.store.tables import LARGEST_ID


def valid_id(number: int | None) -> int | None:
    """Reject a number that is too large for an id."""
    if number is not None and number > LARGEST_ID:
        raise typer.BadParameter("the number is too large.")
    return number


BatchId = Annotated[
    int,
    typer.Argument(metavar="ID", callback=valid_id, help="Number of the batch, as in `stt batch list`."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AsJsonLines = Annotated[bool, typer.Option("--json", help="Print JSON Lines, one object a line.")]
OfClass = Annotated[
    ErrorClass | None,
    typer.Option(
        "--class",
        help="Only files that failed with this error class; email: files whose minutes some recipient did not get.",
    ),
]


def described(field: str, model: type[BatchRequest] = BatchRequest) -> str:
    """Return the description of a request's field, as the API's documentation shows it."""
    return model.model_fields[field].description or ""


Source = Annotated[str, typer.Argument(metavar="SOURCE", help=described("source_path"))]
Pattern = Annotated[str, typer.Option("--pattern", help=described("file_pattern"))]
Urgency = Annotated[Priority, typer.Option("--priority", help=described("priority"))]
Emails = Annotated[
    list[str] | None, typer.Option("--notify", help=f"{described('notify_emails')} Repeatable.")
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        help="NAME=VALUE that overrides a setting, such as model=demo; repeatable. Lists are separated by commas, or JSON "
        f"(languages=ko,en). Names: {', '.join(BatchOptions.model_fields)}.",
    ),
]


def parsed_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Parse NAME=VALUE arguments; names and values are validated by ``BatchOptions`` later.

    Raises:
        InvalidRequestError: an argument has no ``=``, or its value is not the JSON that the option needs.
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InvalidRequestError(f"--option needs NAME=VALUE, not {pair!r}.")
        options[name.strip()] = _value(name.strip(), value.strip())
    return options


def _value(name: str, text: str) -> Any:
    """Return the value of an option: lists and dictionaries are parsed, other values stay text."""
    field = BatchOptions.model_fields.get(name)
    kind = get_origin(field.annotation) if field else None
    if kind not in (list, dict):
        return text
    if kind is list and not text.startswith("["):
        return [part.strip() for part in text.split(",")] if text else []
    try:
        return json.loads(text)
    except ValueError as error:
        example = '["ko", "en"]' if kind is list else '{"API": ["에이피아이"]}'
        raise InvalidRequestError(f"--option {name} needs JSON, as in {name}={example}: {error}.") from error
