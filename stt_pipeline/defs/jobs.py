"""The jobs: what the dispatcher runs, and ``create_batch``, with which a person starts a batch from the launchpad."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster import ResourceParam
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from pydantic import Field

from stt_pipeline.batches import dispatch
from stt_pipeline.batches.creation import create_batch as write_batch
from stt_pipeline.batches.keys import batch_key
from stt_pipeline.batches.options import BatchOptions
from stt_pipeline.defs.partitions import batch_partitions
from stt_pipeline.defs.stages import ASSETS
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.store.database import Database

BY_ORDER: dict[dispatch.Job, str] = {
    "intake": "scan_source",
    "transcribe": "transcribe_audio",
    "publish": "publish_minutes",
    "report": "report_batch",
}

scan_source = dg.define_asset_job(
    BY_ORDER["intake"], selection=["audio_manifest"], description="List a batch's source."
)
transcribe_audio = dg.define_asset_job(
    BY_ORDER["transcribe"],
    selection=list(ASSETS["transcribe"]),
    description="The transcribe stage on some shards: what the files are, what was said, by whom.",
)
publish_minutes = dg.define_asset_job(
    BY_ORDER["publish"],
    selection=list(ASSETS["publish"]),
    description="The publish stage on some shards: minutes and mails.",
)
report_batch = dg.define_asset_job(
    BY_ORDER["report"], selection=["batch_report"], description="Close a batch and report it."
)


class NewBatch(dg.Config):
    """A request to process a source."""

    source: str = Field(description="Folder with the recordings: /data/meetings or file:///data/meetings.")
    pattern: str = Field(
        "", description="Globs separated by commas, such as **/*.wav; empty takes all known endings."
    )
    name: str = Field("", description="Name of the batch; empty takes the source's.")
    priority: str = Field("normal", description="high, normal or low.")
    notify_emails: list[str] = Field([], description="Who gets the minutes and the batch's report.")
    options: dict[str, Any] = Field(
        {}, description="Overrides of the settings: " + ", ".join(BatchOptions.model_fields) + "."
    )


@dg.op(description="Write the batch; the dispatcher picks it up within seconds.")
def write_batch_row(
    context: dg.OpExecutionContext, config: NewBatch, database: ResourceParam[Database]
) -> None:
    """Write the batch's row, or fail with what is wrong about the request."""
    try:
        batch = write_batch(
            database,
            source_path=config.source,
            file_pattern=config.pattern,
            name=config.name,
            priority=config.priority,
            notify_emails=config.notify_emails,
            options=config.options,
            created_by="Dagster UI",
        )
    except InvalidRequestError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    context.instance.add_dynamic_partitions(str(batch_partitions.name), [batch_key(batch.id)])
    context.log.info(f"Batch {batch.id} is written: {batch.source_path}")
    context.add_output_metadata({"batch": batch.id, "source": batch.source_path})


@dg.job(description="Start a batch: fill in the source below and launch.")
def create_batch() -> None:
    """Start a batch from the launchpad."""
    write_batch_row()


JOBS: Sequence[dg.JobDefinition | UnresolvedAssetJobDefinition] = (
    create_batch,
    scan_source,
    transcribe_audio,
    publish_minutes,
    report_batch,
)
