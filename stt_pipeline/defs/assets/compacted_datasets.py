"""``compacted_datasets``: the Parquet of a batch that is over, as a few large files for DuckDB, pandas and the like."""

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
    kinds={"python", "parquet"},
    description="Transcripts and minutes of a batch that is over, in files of about 256 MB. The files of its shards stay.",
)
def compacted_datasets(
    context: dg.AssetExecutionContext,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
) -> dg.MaterializeResult[None]:
    """Compact the Parquet of one batch."""
    root = data_folder(settings)
    # the dispatcher's order was for the report, which has fulfilled it
    claimed = claimed_partition(context, database, settings, ordered=False)
    return dg.MaterializeResult(metadata=compaction_preview(compact_batch(claimed, root), root))
