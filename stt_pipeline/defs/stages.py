"""The shard assets in order, by stage, and the pools that limit their runs.

The stages' runs have different sizes (``batches.dispatch.SHARDS_PER_RUN``) on purpose: in a backfill, Dagster merges
neighbouring assets of equal policy into one run, and mails do not belong in a run that holds a GPU.
"""

from stt_pipeline.store.queue.shards import Stage

STAGE_ASSETS: dict[Stage, tuple[str, ...]] = {
    "transcribe": ("audio_files", "transcripts", "speaker_turns"),
    "publish": ("meeting_minutes", "notifications"),
}
POOL: dict[Stage, str] = {"transcribe": "gpu", "publish": "cpu"}
