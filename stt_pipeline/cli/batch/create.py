"""`stt batch create`: writes a batch, which the dispatcher starts."""

from typing import Annotated

import typer

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.address import display_source
from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.requests.backend_choice import notifier_for
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.batches.requests.recipients import delivery_warnings
from stt_pipeline.batches.requests.validation import validated
from stt_pipeline.cli.batch.arguments import (
    AsJson,
    Emails,
    Options,
    Pattern,
    Source,
    Urgency,
    described,
    parsed_options,
)
from stt_pipeline.cli.connection import actor, connected
from stt_pipeline.cli.dispatcher import warn_if_stale
from stt_pipeline.cli.terminal import print_json, print_result, print_status
from stt_pipeline.settings import Settings


def create(
    source: Source,
    pattern: Pattern = "",
    name: Annotated[str, typer.Option(help=described("name"))] = "",
    priority: Urgency = "normal",
    notify: Emails = None,
    option: Options = None,
    again: Annotated[
        bool, typer.Option("--again", help=BatchOptions.model_fields["mail_again"].description)
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start a batch: `stt up` transcribes the recordings of SOURCE, writes minutes and mails them."""
    settings = Settings()
    request = validated(
        BatchRequest,
        {
            "source_path": source,
            "file_pattern": pattern,
            "name": name,
            "priority": priority,
            "notify_emails": notify or [],
            "options": {**parsed_options(option or ()), **({"mail_again": True} if again else {})},
        },
    )
    warnings = delivery_warnings(request.notify_emails, notifier_for(settings))
    access = SourceAccess.interactive(settings)
    with connected() as database:
        batch = create_batch(
            database,
            request,
            allowed=AllowedSources.for_users(settings.allowed_sources, access),
            actor=actor("stt batch create"),
        )
        if as_json:
            print_json({"id": batch.id, "status": batch.status, "source": batch.source_path})
        else:
            print_result(f"Batch {batch.id} is created: {display_source(batch.source_path)}")
            print_result(f"Follow it with: stt batch progress {batch.id} --watch")
        for warning in warnings:
            print_status(warning, style="yellow")
        warn_if_stale(database)
