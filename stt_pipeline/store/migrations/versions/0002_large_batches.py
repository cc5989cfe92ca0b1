"""Batches of millions of files: every file has a shard, and shards count bytes and failures by error class.

Files without a shard are leftovers of a scan that crashed, and are deleted; the next scan lists them again.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_UP = (
    "ALTER TABLE stt_batches ADD retired_at timestamptz",
    """
    CREATE INDEX stt_batches_to_retire ON stt_batches (completed_at)
        WHERE completed_at IS NOT NULL AND retired_at IS NULL
    """,
    "ALTER TABLE stt_batches DROP CONSTRAINT stt_batches_stage_check",
    """
    ALTER TABLE stt_batches ADD CONSTRAINT stt_batches_stage_check
        CHECK (stage IN ('intake', 'shards', 'report', 'cancel', 'delete', 'done'))
    """,
    "DELETE FROM stt_audio_files WHERE shard_id IS NULL",
    "DROP INDEX stt_audio_files_unsharded",
    "ALTER TABLE stt_audio_files ALTER shard_id SET NOT NULL",
    "ALTER TABLE stt_audio_files DROP CONSTRAINT stt_audio_files_batch_id_fkey",
    "CREATE INDEX stt_audio_files_batch ON stt_audio_files (batch_id, id)",
    "ALTER TABLE stt_shards ADD bytes bigint NOT NULL DEFAULT 0, ADD failures jsonb NOT NULL DEFAULT '{}'",
    # counters change with every file: free space in the page allows HOT updates
    "ALTER TABLE stt_shards SET (fillfactor = 70)",
    """
    UPDATE stt_shards s SET bytes = f.bytes
    FROM (SELECT shard_id, sum(size) AS bytes FROM stt_audio_files GROUP BY shard_id) f WHERE f.shard_id = s.id
    """,
    """
    UPDATE stt_shards s SET failures = f.failures
    FROM (SELECT shard_id, jsonb_object_agg(error_class, files) AS failures
          FROM (SELECT shard_id, error_class, count(*) AS files FROM stt_audio_files
                WHERE status = 'failed' GROUP BY shard_id, error_class) by_class GROUP BY shard_id) f
    WHERE f.shard_id = s.id
    """,
)

_DOWN = (
    "ALTER TABLE stt_shards RESET (fillfactor)",
    "ALTER TABLE stt_shards DROP bytes, DROP failures",
    "DROP INDEX stt_audio_files_batch",
    """
    ALTER TABLE stt_audio_files ADD CONSTRAINT stt_audio_files_batch_id_fkey
        FOREIGN KEY (batch_id) REFERENCES stt_batches ON DELETE CASCADE
    """,
    "ALTER TABLE stt_audio_files ALTER shard_id DROP NOT NULL",
    "CREATE INDEX stt_audio_files_unsharded ON stt_audio_files (batch_id, id) WHERE shard_id IS NULL",
    "UPDATE stt_batches SET stage = 'done' WHERE stage IN ('cancel', 'delete')",
    "ALTER TABLE stt_batches DROP CONSTRAINT stt_batches_stage_check",
    """
    ALTER TABLE stt_batches ADD CONSTRAINT stt_batches_stage_check
        CHECK (stage IN ('intake', 'shards', 'report', 'done'))
    """,
    "DROP INDEX stt_batches_to_retire",
    "ALTER TABLE stt_batches DROP retired_at",
)


def upgrade() -> None:
    """Change the tables."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Revert the changes."""
    for statement in _DOWN:
        op.execute(statement)
