"""The jobs: those that the dispatcher starts, ``create_batch`` for the launchpad, and the daily ``maintenance``."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster import ResourceParam
from pydantic import Field

from stt_pipeline.audio.address import display_source
from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.execution import dispatch
from stt_pipeline.batches.keys import BatchKey
from stt_pipeline.batches.maintenance import deletion
from stt_pipeline.batches.maintenance.compaction import compact_missing
from stt_pipeline.batches.maintenance.retention import retire_batches
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch as write_batch
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.batches.requests.recipients import delivery_warnings
from stt_pipeline.batches.requests.validation import validated
from stt_pipeline.defs.batch_records import (
    delete_records,
    end_runs_and_delete_records,
    remove_unknown_partitions,
)
from stt_pipeline.defs.batch_step import claimed_partition
from stt_pipeline.defs.dagster_private import UnresolvedAssetJobDefinition
from stt_pipeline.defs.partitions import batch_partitions
from stt_pipeline.defs.run_tags import tag_batch
from stt_pipeline.defs.settings_at_load import settings_at_load
from stt_pipeline.defs.stages import STAGE_ASSETS
from stt_pipeline.errors import ConfigurationError, InvalidRequestError
from stt_pipeline.notify.notifier import NotifierFor
from stt_pipeline.parquet.files import data_folder
from stt_pipeline.settings import Settings
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database
from stt_pipeline.store.results import transcriptions

JOB_OF_ORDER: dict[dispatch.OrderKind, str] = {
    "scan": "scan_source",
    "transcribe": "transcribe_audio",
    "publish": "publish_minutes",
    "report": "report_batch",
    "delete": "delete_batch",
}

# Dagster parses a selection given as strings, and that parser takes 0.1 s to import in every run
_assets = dg.AssetSelection.assets

scan_source = dg.define_asset_job(
    JOB_OF_ORDER["scan"], selection=_assets("audio_manifest"), description="Scan the source of a batch."
)
transcribe_audio = dg.define_asset_job(
    JOB_OF_ORDER["transcribe"],
    selection=_assets(*STAGE_ASSETS["transcribe"]),
    description="The transcribe stage of some shards: probe, transcription, diarization.",
)
publish_minutes = dg.define_asset_job(
    JOB_OF_ORDER["publish"],
    selection=_assets(*STAGE_ASSETS["publish"]),
    description="The publish stage of some shards: minutes and mails.",
)
report_batch = dg.define_asset_job(
    JOB_OF_ORDER["report"],
    selection=_assets("batch_report", "compacted_datasets").without_checks(),  # those of freshness
    description="Close a batch, mail its report, and compact its Parquet files.",
)


class LaunchpadOptions(BatchOptions, dg.Config):
    """The options of a batch, as the launchpad shows them."""


class LaunchpadRequest(BatchRequest, dg.Config):
    """A request to process a source, as the launchpad shows it."""

    options: LaunchpadOptions = Field(
        LaunchpadOptions(), description=BatchRequest.model_fields["options"].description
    )


# a schema only: values are validated in the op, which fails with one sentence instead of pydantic's report
@dg.op(
    config_schema=LaunchpadRequest.to_config_schema().as_field(),
    description="Create the batch; the dispatcher starts it within seconds.",
)
def write_batch_row(
    context: dg.OpExecutionContext,
    database: ResourceParam[Database],
    sources: ResourceParam[AllowedSources],
    notifiers: ResourceParam[NotifierFor],
) -> None:
    """Create the batch, or fail with what is wrong about the request."""
    try:
        request = validated(BatchRequest, context.op_config)
        warnings = delivery_warnings(request.notify_emails, notifiers)
        batch = write_batch(database, request, allowed=sources, actor=Actor("Dagster UI"))
    except (InvalidRequestError, ConfigurationError) as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    key = str(BatchKey(batch.id, batch.partition_name))
    context.instance.add_dynamic_partitions(str(batch_partitions.name), [key])
    tag_batch(context.instance, context.run, [key])
    context.log.info(f"Batch {batch.id} is created: {display_source(batch.source_path)}")
    for warning in warnings:
        context.log.warning(warning)
    context.add_output_metadata({"batch": batch.id, "source": display_source(batch.source_path)})


def _example() -> dict[str, Any]:
    """Return what the launchpad shows when it opens: a valid request, whose source is to be replaced."""
    settings = settings_at_load()
    allowed = settings.allowed_sources.split(",")[0].strip() if settings else ""
    request = {"source_path": allowed or "/path/to/recordings", "name": "", "notify_emails": []}
    return {"ops": {"write_batch_row": {"config": request}}}


@dg.job(
    config=_example(),
    description="Start a batch: in the launchpad, replace source_path by a folder, s3://bucket/prefix or a manifest file, "
    "and launch. notify_emails get the minutes.",
)
def create_batch() -> None:
    """Start a batch from the launchpad."""
    write_batch_row()


@dg.op(description="Delete the batch of this partition.")
def delete_batch_data(
    context: dg.OpExecutionContext, database: ResourceParam[Database], settings: ResourceParam[Settings]
) -> None:
    """Delete a batch with the status ``deleting``. The record of this run stays."""

    def delete_all_records(batch_id: int) -> bool:
        return end_runs_and_delete_records(context.instance, batch_id, exclude_run_id=context.run_id)

    with claimed_partition(context, database, settings, to_delete=True) as claim:
        files = deletion.delete_batch(
            claim, delete_records=delete_all_records, data_root=data_folder(settings)
        )
    context.log.info(f"Batch {claim.batch.id} ({claim.batch.name}) and its {files:,} files are deleted.")
    context.add_output_metadata({"batch": claim.batch.id, "name": claim.batch.name, "files": files})


@dg.job(
    name=JOB_OF_ORDER["delete"],
    partitions_def=batch_partitions,
    description="Delete the rows, partitions, runs and Parquet files of a batch. The dispatcher starts it for batches with "
    "the status deleting.",
)
def delete_batch() -> None:
    """Delete a batch."""
    delete_batch_data()


@dg.op(description="Create the coming monthly partitions of stt_transcriptions.")
def make_months(database: ResourceParam[Database]) -> None:
    """Create months ahead, so that no transcription goes to the default partition."""
    with database.begin() as connection:
        transcriptions.ensure_months(connection)


@dg.op(
    description="Delete partitions and runs of batches that ended long ago, and partitions that have no shard or batch; "
    "rows and Parquet files stay."
)
def retire_partitions(
    context: dg.OpExecutionContext, database: ResourceParam[Database], settings: ResourceParam[Settings]
) -> None:
    """Keep Dagster's storage from growing without limit."""
    retired = retire_batches(
        database,
        days=settings.partition_retention_days,
        delete_records=lambda batch_id: delete_records(context.instance, batch_id),
    )
    context.log.info(f"Retired batches: {', '.join(map(str, retired)) or 'none'}")
    unknown = remove_unknown_partitions(context.instance, database)
    context.log.info(f"Removed partitions without a shard or batch: {', '.join(unknown) or 'none'}")
    context.add_output_metadata({"batches retired": len(retired), "partitions removed": len(unknown)})


@dg.op(description="Compact the Parquet files of finished batches, where that failed or was interrupted.")
def compact_batches(
    context: dg.OpExecutionContext, database: ResourceParam[Database], settings: ResourceParam[Settings]
) -> None:
    """Write compacted files that are missing, or older than a file of a shard."""
    compacted = compact_missing(
        database, data_folder(settings), run_id=context.run_id, lease_seconds=settings.lease_seconds
    )
    context.log.info(f"Compacted batches: {', '.join(map(str, compacted)) or 'none'}")
    context.add_output_metadata({"batches compacted": len(compacted)})


@dg.job(
    description="The daily maintenance: monthly partitions, missing compacted files, retirement of old batches."
)
def maintenance() -> None:
    """Run the daily maintenance."""
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
