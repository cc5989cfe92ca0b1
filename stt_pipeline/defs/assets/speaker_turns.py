"""``speaker_turns``: the speaker turns of each recording, and its transcript with speakers; also in Parquet."""

from typing import Any

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.batches.queries.results import first_transcriptions, transcript_rows
from stt_pipeline.batches.stages.transcribe import DiarizerFor, find_speakers
from stt_pipeline.defs.assets.transcripts import transcripts
from stt_pipeline.defs.io_managers import ParquetIOManager
from stt_pipeline.defs.previews import SHOWN_FILES, speaker_preview
from stt_pipeline.defs.shard_step import Outputs, ShardConfig, run_step, shard_asset
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database


@shard_asset(
    "speaker_turns",
    deps=[transcripts],
    kinds={"python", "postgres", "parquet"},
    checks={"every_transcript_diarized": "Diarization succeeded for every transcript."},
    description="The speaker turns of each recording, and its transcript with speakers, in Postgres and Parquet.",
    io_manager_key="transcripts_parquet",
)
def speaker_turns(
    context: dg.AssetExecutionContext,
    config: ShardConfig,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
    sources: ResourceParam[AllowedSources],
    diarizers: ResourceParam[DiarizerFor],
    transcripts_parquet: ResourceParam[ParquetIOManager],
) -> Outputs:
    """Diarize the recordings whose transcripts have no speakers."""

    def work(claims: ShardClaims) -> None:
        find_speakers(claims, diarizers, device=settings.device, max_hours=settings.max_audio_hours)

    def describe(shard: ClaimedShard) -> dict[str, Any]:
        return speaker_preview(first_transcriptions(database, shard.shard.id, SHOWN_FILES))

    def store(shard: ClaimedShard) -> None:
        transcripts_parquet.write_shard(shard.key, transcript_rows(database, shard.shard.id), settings)

    yield from run_step(
        context, config, database, settings, sources, work=work, describe=describe, store=store
    )
