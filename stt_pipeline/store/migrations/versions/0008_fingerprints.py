"""The fingerprint of the options that each transcript, diarization and minutes were made with.

Older rows have NULL: their options are not known, and they count as up to date until a user reprocesses them.
"""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add columns without a default: Postgres changes only its catalog, so this is fast for tables of any size."""
    op.execute("ALTER TABLE stt_transcriptions ADD fingerprint text, ADD speakers_fingerprint text")
    op.execute("ALTER TABLE stt_summaries ADD fingerprint text")


def downgrade() -> None:
    """Drop the columns."""
    op.execute("ALTER TABLE stt_summaries DROP fingerprint")
    op.execute("ALTER TABLE stt_transcriptions DROP fingerprint, DROP speakers_fingerprint")
