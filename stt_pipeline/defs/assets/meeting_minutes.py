"""``meeting_minutes``: title, summary, topics, decisions, action items and keywords of each recording; also in Parquet."""

from typing import Any

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.queries.results import first_summaries, minutes_rows
from stt_pipeline.batches.stages.publish import SummarizerFor, write_minutes
from stt_pipeline.defs.assets.speaker_turns import speaker_turns
from stt_pipeline.defs.previews import SHOWN_FILES, minutes_preview
from stt_pipeline.defs.shard_step import Events, ShardConfig, claimed_shards, events, shard_asset
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database


@shard_asset(
    "meeting_minutes",
    deps=[speaker_turns],
    kinds={"python", "postgres", "parquet"},
    check="every_transcript_has_minutes",
    check_description="Every transcript of the shard has minutes.",
    description="The minutes of each recording, in Postgres and Parquet.",
    io_manager_key="minutes_io",
)
def meeting_minutes(
    context: dg.AssetExecutionContext,
    config: ShardConfig,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
    sources: ResourceParam[AllowedSources],
    summarizer_for: ResourceParam[SummarizerFor],
) -> Events:
    """Write the minutes of the transcripts that have none."""

    def describe(shard: ClaimedShard) -> dict[str, Any]:
        return minutes_preview(first_summaries(database, shard.shard.id, SHOWN_FILES))

    with claimed_shards(context, config, database, settings, sources) as claims:
        write_minutes(claims, summarizer_for)
        rows = ((shard.key, minutes_rows(database, shard.shard.id)) for shard in claims.shards)
        yield from events(context, claims, describe=describe, value=rows)
