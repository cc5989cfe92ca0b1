"""The shard assets of each stage, in order, with their code versions, and the pools that limit their runs.

The stages have different run sizes (``batches.execution.run_size.SHARDS_PER_RUN``) on purpose: a backfill merges
neighbouring assets of equal backfill policy into one run, and mails must not wait in a run that holds a GPU.
"""

from stt_pipeline.backends import TRANSCRIBERS
from stt_pipeline.batches.requests.fingerprint import fingerprints
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.defs.settings_at_load import settings_at_load
from stt_pipeline.store.queue.shards import Stage

STAGE_ASSETS: dict[Stage, tuple[str, ...]] = {
    "transcribe": ("audio_files", "transcripts", "speaker_turns"),
    "publish": ("meeting_minutes", "notifications"),
}


def _transcribe_pool() -> str:
    """Return the pool of the chosen transcriber. Dagster fixes pools when it loads the definitions."""
    settings = settings_at_load()
    return (TRANSCRIBERS[settings.transcriber].pool or "cpu") if settings else "gpu"


def _code_versions() -> dict[str, str]:
    """Return a version for each asset with results that depend on settings: the fingerprint of the settings.

    Dagster fixes it when it loads the definitions. Options of a batch are in the data version of its partitions.
    """
    settings = settings_at_load()
    if settings is None:
        return {}
    now = fingerprints(settings, BatchOptions())
    return {"transcripts": now.transcript, "speaker_turns": now.speakers, "meeting_minutes": now.minutes}


CODE_VERSIONS = _code_versions()

POOL: dict[Stage, str] = {"transcribe": _transcribe_pool(), "publish": "cpu"}


def stage_of(asset: str) -> Stage:
    """Return the stage of a shard asset."""
    return next(stage for stage, assets in STAGE_ASSETS.items() if asset in assets)
