"""`stt batch create`: what was asked for becomes a row that the dispatcher picks up."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.opening import SourceAccess
from stt_pipeline.batches.creation import create_batch
from stt_pipeline.batches.options import BatchOptions
from stt_pipeline.cli.batch.arguments import AsJson
from stt_pipeline.cli.connection import actor, connected
from stt_pipeline.cli.dispatcher import warn_if_silent
from stt_pipeline.cli.terminal import print_json, tell
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.settings import Settings
from stt_pipeline.store.batches import Priority


def create(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Folder with the recordings, or file:///folder.")
    ],
    pattern: Annotated[
        str,
        typer.Option(
            help="Globs separated by commas, such as '**/*.wav'; else every known audio and video ending."
        ),
    ] = "",
    name: Annotated[str, typer.Option(help="Name of the batch; else the folder's.")] = "",
    priority: Annotated[Priority, typer.Option(help="Batches of higher priority go first.")] = "normal",
    notify: Annotated[
        list[str] | None, typer.Option(help="Email address that gets the minutes and the report; repeatable.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=VALUE that overrides a setting for this batch, such as model=demo; repeatable. "
            f"Names: {', '.join(BatchOptions.model_fields)}."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start a batch: `stt up` transcribes the recordings of SOURCE, writes minutes and mails them."""
    settings = Settings()
    with connected() as database:
        batch = create_batch(
            database,
            source_path=source,
            file_pattern=pattern,
            name=name,
            priority=priority,
            notify_emails=notify or (),
            options=parsed_options(option or ()),
            allowed=AllowedSources.for_people(settings.allowed_sources, SourceAccess.of(settings)),
            by=actor("stt batch create"),
        )
        if as_json:
            print_json({"id": batch.id, "status": batch.status, "source": batch.source_path})
        else:
            tell(f"Batch {batch.id} is created: {batch.source_path}")
            tell(f"Watch it with: stt batch progress {batch.id} --watch")
        warn_if_silent(database)


def parsed_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Turn NAME=VALUE arguments into options; what names and values may be is for the options' type to say.

    Raises:
        InvalidRequestError: an argument has no ``=``.
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InvalidRequestError(f"--option wants NAME=VALUE, not {pair!r}.")
        options[name.strip()] = value
    return options
