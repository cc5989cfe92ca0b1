"""``transcripts``: what was said, stored before anybody looks for speakers or writes minutes."""

from typing import Any

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.queries.results import first_transcriptions
from stt_pipeline.batches.stages.transcribe import TranscriberFor, transcribe_files
from stt_pipeline.defs.assets.audio_files import audio_files
from stt_pipeline.defs.previews import SHOWN_FILES, transcript_preview
from stt_pipeline.defs.shard_step import Events, ShardConfig, claimed_shards, events, shard_asset
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database


@shard_asset(
    "transcripts",
    deps=[audio_files],
    kinds={"whisper", "postgres"},
    check="every_readable_file_transcribed",
    check_description="The speech model went through every file that could be read.",
    description="The words of each recording with their times and probabilities, by faster-whisper.",
)
def transcripts(
    context: dg.AssetExecutionContext,
    config: ShardConfig,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
    sources: ResourceParam[AllowedSources],
    transcriber_for: ResourceParam[TranscriberFor],
) -> Events:
    """Transcribe the files that have no transcript."""

    def describe(shard: ClaimedShard) -> dict[str, Any]:
        found = first_transcriptions(database, shard.shard.id, SHOWN_FILES)
        return transcript_preview(found)

    with claimed_shards(context, config, database, settings, sources) as work:
        transcribe_files(work, transcriber_for, language=settings.language)
        yield from events(context, work, describe=describe)
