"""The shard assets in order, by stage, and the pools that limit their runs.

The stages' runs have different sizes (``batches.dispatch.SHARDS_PER_RUN``) on purpose: in a backfill, Dagster merges
neighbouring assets of equal policy into one run, and mails do not belong in a run that holds a GPU.
"""

import dagster as dg
from dagster._core.storage.tags import RUN_KEY_TAG

from stt_pipeline.store.shards import Stage

ASSETS: dict[Stage, tuple[str, ...]] = {
    "transcribe": ("audio_files", "transcripts", "speaker_turns"),
    "publish": ("meeting_minutes", "notifications"),
}
POOL: dict[Stage, str] = {"transcribe": "gpu", "publish": "cpu"}


def token_of(run: dg.DagsterRun) -> str | None:
    """Return the token of the dispatch that asked for a run, or None for a run that a person started.

    The dispatcher makes the token the run key, or its first part. Who re-executes a run copies its tags, and is a person.
    """
    run_key = None if run.parent_run_id else run.tags.get(RUN_KEY_TAG)
    return run_key.partition(":")[0] if run_key else None
