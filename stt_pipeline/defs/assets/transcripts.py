"""``transcripts``: the text of each recording, stored before diarization and minutes."""

from typing import Any

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.batches.queries.results import first_transcriptions
from stt_pipeline.batches.requests.backend_choice import BackendFor
from stt_pipeline.batches.stages.transcribe import transcribe_files
from stt_pipeline.defs.assets.audio_files import audio_files
from stt_pipeline.defs.previews import SHOWN_FILES, transcript_preview
from stt_pipeline.defs.shard_step import Outputs, ShardConfig, run_step, shard_asset
from stt_pipeline.defs.transcript_checks import TRANSCRIPT_CHECKS, transcript_checks
from stt_pipeline.settings import Settings
from stt_pipeline.speech.transcriber import Transcriber
from stt_pipeline.store.database import Database


@shard_asset(
    "transcripts",
    deps=[audio_files],
    kinds={"python", "postgres", "table"},
    checks={
        "every_readable_file_transcribed": "Every file that could be decoded has a transcript.",
        **TRANSCRIPT_CHECKS,
    },
    description="The words of each recording with their times and probabilities.",
)
def transcripts(
    context: dg.AssetExecutionContext,
    config: ShardConfig,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
    sources: ResourceParam[AllowedSources],
    transcribers: ResourceParam[BackendFor[Transcriber]],
) -> Outputs:
    """Transcribe the files that have no transcript."""

    def work(claims: ShardClaims) -> None:
        transcribe_files(
            claims,
            transcribers,
            key=transcribers.key,
            language=settings.language,
            max_hours=settings.max_audio_hours,
        )

    def describe(shard: ClaimedShard) -> dict[str, Any]:
        found = first_transcriptions(database, shard.shard.id, SHOWN_FILES)
        return transcript_preview(found)

    yield from run_step(
        context,
        config,
        database,
        settings,
        sources,
        work=work,
        describe=describe,
        checks=transcript_checks(database, settings.language),
    )
