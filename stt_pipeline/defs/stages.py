"""The shard assets of each stage, in order, and the pools that limit their runs.

The stages have different run sizes (``batches.execution.dispatch.SHARDS_PER_RUN``) on purpose: a backfill merges
neighbouring assets of equal backfill policy into one run, and mails must not wait in a run that holds a GPU.
"""

from pydantic import ValidationError

from stt_pipeline.backends import TRANSCRIBERS
from stt_pipeline.settings import Settings
from stt_pipeline.store.queue.shards import Stage

STAGE_ASSETS: dict[Stage, tuple[str, ...]] = {
    "transcribe": ("audio_files", "transcripts", "speaker_turns"),
    "publish": ("meeting_minutes", "notifications"),
}


def _transcribe_pool() -> str:
    """Return the pool of the chosen transcriber. Dagster fixes pools when it loads the definitions.

    Invalid settings fail the run that reads them, with their message, and not the load of the definitions.
    """
    try:
        return TRANSCRIBERS[Settings().transcriber].pool or "cpu"
    except ValidationError:
        return "gpu"


POOL: dict[Stage, str] = {"transcribe": _transcribe_pool(), "publish": "cpu"}


def stage_of(asset: str) -> Stage:
    """Return the stage of a shard asset."""
    return next(stage for stage, assets in STAGE_ASSETS.items() if asset in assets)
