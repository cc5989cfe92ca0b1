"""``meeting_minutes``: title, summary, topics, decisions, action items and keywords of each recording; also in Parquet."""

from typing import Any

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.batches.queries.results import first_summaries, minutes_rows
from stt_pipeline.batches.stages.publish import SummarizerFor, write_minutes
from stt_pipeline.defs.assets.speaker_turns import speaker_turns
from stt_pipeline.defs.io_managers import ParquetIOManager
from stt_pipeline.defs.previews import SHOWN_FILES, minutes_preview
from stt_pipeline.defs.shard_step import Outputs, ShardConfig, run_step, shard_asset
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database


@shard_asset(
    "meeting_minutes",
    deps=[speaker_turns],
    kinds={"python", "postgres", "parquet"},
    checks={"every_transcript_has_minutes": "Every transcript of the shard has minutes."},
    description="The minutes of each recording, in Postgres and Parquet.",
    io_manager_key="minutes_parquet",
)
def meeting_minutes(
    context: dg.AssetExecutionContext,
    config: ShardConfig,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
    sources: ResourceParam[AllowedSources],
    summarizers: ResourceParam[SummarizerFor],
    minutes_parquet: ResourceParam[ParquetIOManager],
) -> Outputs:
    """Write the minutes of the transcripts that have none."""

    def work(claims: ShardClaims) -> None:
        write_minutes(claims, summarizers)

    def describe(shard: ClaimedShard) -> dict[str, Any]:
        return minutes_preview(first_summaries(database, shard.shard.id, SHOWN_FILES))

    def store(shard: ClaimedShard) -> None:
        minutes_parquet.write_shard(shard.key, minutes_rows(database, shard.shard.id), settings)

    yield from run_step(
        context, config, database, settings, sources, work=work, describe=describe, store=store
    )
