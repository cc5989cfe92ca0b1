"""What the dispatcher and the progress of a batch need to know of shards: transcripts, length, and preemption."""

from alembic import op

revision = "0010"
down_revision = "0009"

_UP = (
    """
    ALTER TABLE stt_shards
        ADD transcribed integer NOT NULL DEFAULT 0,
        ADD transcribe_seconds double precision NOT NULL DEFAULT 0,
        ADD probed_seconds double precision NOT NULL DEFAULT 0,
        ADD preempted_token uuid,
        ADD preemptions smallint NOT NULL DEFAULT 0
    """,
    # files that are in progress are counted when a run next works on their shard
    """
    UPDATE stt_shards
    SET transcribed = completed, probed_seconds = audio_seconds, transcribe_seconds = busy_seconds
    WHERE completed > 0
    """,
    "ALTER TABLE stt_throughput ADD transcribed integer NOT NULL DEFAULT 0",
)

_DOWN = (
    "ALTER TABLE stt_throughput DROP transcribed",
    """
    ALTER TABLE stt_shards DROP transcribed, DROP transcribe_seconds, DROP probed_seconds, DROP preempted_token,
        DROP preemptions
    """,
)


def upgrade() -> None:
    """Change the tables. There are at most about 10,000 shards a batch, so the update is short."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Revert the changes."""
    for statement in _DOWN:
        op.execute(statement)
