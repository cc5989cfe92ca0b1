"""Which files of a claimed shard the run of a user processes again: failed ones, those with stale results, or all.

The dispatcher's runs reopen nothing; they process the files that are open.
"""

from sqlalchemy import Connection

from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.store.manifest import files
from stt_pipeline.store.queue import shards, transitions
from stt_pipeline.store.queue.shards import Stage
from stt_pipeline.store.results import staleness


def reopen_files(
    connection: Connection, shard: ClaimedShard, stage: Stage, *, failed: bool, stale: bool, every_file: bool
) -> None:
    """Reopen files of a shard, in the transaction that claims it, and with them its batch.

    Args:
        stage: the stage of the step.
        failed: reopen failed files.
        stale: reopen files whose results of the stage were made with other options than the batch has now.
        every_file: with ``failed``, reopen all files.
    """
    shard_id, now = shard.shard.id, shard.fingerprints
    reopened = 0
    if failed:
        from_speech = stage == "transcribe"
        reopened += len(files.reopen(connection, [shard_id], every_file=every_file, from_speech=from_speech))
    if stale and stage == "transcribe":
        reopened += staleness.reopen_transcripts(connection, shard_id, now.transcript, now.speakers)
    if stale and stage == "publish":
        reopened += staleness.reopen_minutes(connection, shard_id, now.minutes)
    if reopened:
        shards.open_again(connection, [shard_id])
        transitions.reopen(connection, shard.batch.id)
