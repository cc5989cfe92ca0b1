"""``audio_files``: the format of each file of a shard. Files that cannot be decoded fail here."""

from functools import partial

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.stages.transcribe import probe_files
from stt_pipeline.defs.partitions import all_of
from stt_pipeline.defs.shard_step import Outputs, ShardConfig, run_step, shard_asset
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database


@shard_asset(
    "audio_files",
    deps=[all_of("audio_manifest")],
    kinds={"python", "postgres", "table"},
    checks={
        "every_file_readable": "Every file of the shard is audio that can be decoded, within the size limit."
    },
    description="Duration, sample rate, channels, codec and container of each audio file of a shard.",
)
def audio_files(
    context: dg.AssetExecutionContext,
    config: ShardConfig,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
    sources: ResourceParam[AllowedSources],
) -> Outputs:
    """Probe the files that have not been probed."""
    yield from run_step(
        context,
        config,
        database,
        settings,
        sources,
        work=partial(probe_files, max_hours=settings.max_audio_hours),
        describe=lambda shard: {"batch": shard.batch.name},
    )
