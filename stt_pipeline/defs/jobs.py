"""The jobs: what the dispatcher runs, ``create_batch`` for the launchpad, and the daily ``maintenance``."""

from collections.abc import Sequence

import dagster as dg
from dagster import ResourceParam
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from pydantic import Field

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.execution import dispatch
from stt_pipeline.batches.keys import batch_key
from stt_pipeline.batches.maintenance import deletion
from stt_pipeline.batches.maintenance.compaction import compact_missing
from stt_pipeline.batches.maintenance.retention import retire_batches
from stt_pipeline.batches.requests.create import create_batch as write_batch
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.defs.batch_records import end_and_forget, forget
from stt_pipeline.defs.batch_step import claimed_partition
from stt_pipeline.defs.partitions import batch_partitions
from stt_pipeline.defs.run_tags import tag_batch
from stt_pipeline.defs.stages import STAGE_ASSETS
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.parquet.files import data_folder
from stt_pipeline.settings import Settings
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue.batches import Priority
from stt_pipeline.store.results import transcriptions

BY_ORDER: dict[dispatch.OrderKind, str] = {
    "intake": "scan_source",
    "transcribe": "transcribe_audio",
    "publish": "publish_minutes",
    "report": "report_batch",
    "delete": "delete_batch",
}

# names as strings would be parsed as expressions, by a parser that takes a tenth of a second to load in every run
_assets = dg.AssetSelection.assets

scan_source = dg.define_asset_job(
    BY_ORDER["intake"], selection=_assets("audio_manifest"), description="List a batch's source."
)
transcribe_audio = dg.define_asset_job(
    BY_ORDER["transcribe"],
    selection=_assets(*STAGE_ASSETS["transcribe"]),
    description="The transcribe stage on some shards: what the files are, what was said, by whom.",
)
publish_minutes = dg.define_asset_job(
    BY_ORDER["publish"],
    selection=_assets(*STAGE_ASSETS["publish"]),
    description="The publish stage on some shards: minutes and mails.",
)
report_batch = dg.define_asset_job(
    BY_ORDER["report"],
    selection=_assets("batch_report", "compacted_datasets"),
    description="Close a batch and report it; then compact its Parquet.",
)


class Options(BatchOptions, dg.Config):
    """The options of a batch, as the launchpad shows and checks them."""


class NewBatch(dg.Config):
    """A request to process a source."""

    source: str = Field(description="Folder with the recordings: /data/meetings or file:///data/meetings.")
    pattern: str = Field(
        "", description="Globs separated by commas, such as **/*.wav; empty takes all known endings."
    )
    name: str = Field("", description="Name of the batch; empty takes the source's.")
    priority: Priority = Field("normal", description="Batches of higher priority go first.")
    notify_emails: list[str] = Field([], description="Who gets the minutes and the batch's report.")
    options: Options = Field(Options(), description="Overrides of the settings.")


@dg.op(description="Write the batch; the dispatcher picks it up within seconds.")
def write_batch_row(
    context: dg.OpExecutionContext,
    config: NewBatch,
    database: ResourceParam[Database],
    sources: ResourceParam[AllowedSources],
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
            allowed=sources,
            actor=Actor("Dagster UI"),
        )
    except InvalidRequestError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    key = batch_key(batch.id)
    context.instance.add_dynamic_partitions(str(batch_partitions.name), [key])
    tag_batch(context.instance, context.run, [key])
    context.log.info(f"Batch {batch.id} is written: {batch.source_path}")
    context.add_output_metadata({"batch": batch.id, "source": batch.source_path})


@dg.job(description="Start a batch: fill in the source below and launch.")
def create_batch() -> None:
    """Start a batch from the launchpad."""
    write_batch_row()


@dg.op(description="Delete the batch of this partition.")
def delete_batch_data(
    context: dg.OpExecutionContext, database: ResourceParam[Database], settings: ResourceParam[Settings]
) -> None:
    """Delete a batch that was given to deletion. The record of this run stays, as a note of what was done."""

    def end_and_forget_all(batch_id: int) -> bool:
        return end_and_forget(context.instance, batch_id, exclude_run_id=context.run_id)

    with claimed_partition(context, database, settings, to_delete=True) as work:
        files = deletion.delete_batch(work, forget=end_and_forget_all, data_root=data_folder(settings))
    context.log.info(f"Batch {work.batch.id} ({work.batch.name}) is deleted, with {files:,} files.")
    context.add_output_metadata({"batch": work.batch.id, "name": work.batch.name, "files": files})


@dg.job(
    name=BY_ORDER["delete"],
    partitions_def=batch_partitions,
    description="Remove a batch's rows, partitions, runs and Parquet files. The dispatcher runs it for batches that "
    "somebody deleted.",
)
def delete_batch() -> None:
    """Delete a batch."""
    delete_batch_data()


@dg.op(description="Make the coming months' partitions of stt_transcriptions.")
def make_months(database: ResourceParam[Database]) -> None:
    """Make months ahead, so that no transcription falls into the default partition."""
    with database.begin() as connection:
        transcriptions.ensure_months(connection)


@dg.op(description="Remove partitions and runs of batches that ended long ago; rows and Parquet files stay.")
def retire_partitions(
    context: dg.OpExecutionContext, database: ResourceParam[Database], settings: ResourceParam[Settings]
) -> None:
    """Keep Dagster from growing for ever."""
    retired = retire_batches(
        database,
        days=settings.partition_retention_days,
        forget=lambda batch_id: forget(context.instance, batch_id),
    )
    context.log.info(f"Retired batches: {', '.join(map(str, retired)) or 'none'}")
    context.add_output_metadata({"batches retired": len(retired)})


@dg.op(description="Compact the Parquet of batches that are over, where that failed or was interrupted.")
def compact_batches(
    context: dg.OpExecutionContext, database: ResourceParam[Database], settings: ResourceParam[Settings]
) -> None:
    """Make the large files that are missing, or older than a shard that was done again."""
    compacted = compact_missing(
        database, data_folder(settings), run_id=context.run_id, lease_seconds=settings.lease_seconds
    )
    context.log.info(f"Compacted batches: {', '.join(map(str, compacted)) or 'none'}")
    context.add_output_metadata({"batches compacted": len(compacted)})


@dg.job(
    description="What is done once a day: months ahead, missing compacted files, and the retirement of old partitions."
)
def maintenance() -> None:
    """Do what is done once a day."""
    make_months()
    compact_batches()
    retire_partitions()


JOBS: Sequence[dg.JobDefinition | UnresolvedAssetJobDefinition] = (
    create_batch,
    scan_source,
    transcribe_audio,
    publish_minutes,
    report_batch,
    delete_batch,
    maintenance,
)
