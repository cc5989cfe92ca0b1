"""When each file ended: the minute of ``stt_throughput`` that counts it, so that a retry can take it out again."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column. It has no default, so that the table is not written again."""
    op.execute("ALTER TABLE stt_audio_files ADD ended_at timestamptz")


def downgrade() -> None:
    """Drop the column."""
    op.execute("ALTER TABLE stt_audio_files DROP ended_at")
