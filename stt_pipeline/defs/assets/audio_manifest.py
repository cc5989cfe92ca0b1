"""``audio_manifest``: the audio files of a batch's source. Materializing it again adds new files."""

from collections.abc import Sequence

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.audio.address import display_source
from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.ingest.scan import scan_batch
from stt_pipeline.defs.batch_step import claimed_partition
from stt_pipeline.defs.catalog import RECORDINGS
from stt_pipeline.defs.partitions import audio_partitions, batch_partitions
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database


@dg.asset(
    partitions_def=batch_partitions,
    deps=[RECORDINGS],
    group_name="ingest",
    kinds={"python", "postgres", "table"},
    description="The audio files of a batch's source, listed into the manifest and cut into shards, "
    "each of which becomes a partition of the assets below.",
)
def audio_manifest(
    context: dg.AssetExecutionContext,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
    sources: ResourceParam[AllowedSources],
) -> dg.MaterializeResult[None]:
    """Scan the source of one batch."""
    name = str(audio_partitions.name)

    def add_partitions(keys: Sequence[str]) -> None:
        context.instance.add_dynamic_partitions(name, list(keys))

    with claimed_partition(context, database, settings) as claim:
        result = scan_batch(
            claim,
            add_partitions=add_partitions,
            max_file_bytes=settings.max_file_bytes,
            open_source=sources.open,
        )
    if result.error:
        raise dg.Failure(result.error, allow_retries=False)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": result.total_files,
            "source": display_source(claim.batch.source_path),
            "pattern": claim.batch.file_pattern or "all known audio and video extensions",
            "files": result.total_files,
            "new files": result.new_files,
            "new shards": result.new_shards,
            **(
                {"skipped, still being written": result.in_progress_count} if result.in_progress_count else {}
            ),
        }
    )
