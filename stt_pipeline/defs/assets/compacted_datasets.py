"""``compacted_datasets``: the Parquet files of a finished batch as a few large ones, for DuckDB or pandas."""

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.batches.maintenance.compaction import compact_batch
from stt_pipeline.defs.assets.batch_report import batch_report
from stt_pipeline.defs.batch_step import claimed_partition
from stt_pipeline.defs.partitions import batch_partitions
from stt_pipeline.defs.previews import compaction_preview
from stt_pipeline.parquet.files import data_folder
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database


@dg.asset(
    partitions_def=batch_partitions,
    deps=[batch_report],
    group_name="report",
    kinds={"python", "parquet", "dataset"},
    description="Transcripts and minutes of a finished batch, in files of about 256 MB. The files of its shards stay.",
)
def compacted_datasets(
    context: dg.AssetExecutionContext,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
) -> dg.MaterializeResult[None]:
    """Compact the Parquet files of one batch."""
    root = data_folder(settings)
    # the dispatcher's order was for the report. A failed compaction fails this run, not the batch
    claimed = claimed_partition(context, database, settings, is_ordered=False, show_error=False)
    return dg.MaterializeResult(metadata=compaction_preview(compact_batch(claimed, root), root))
