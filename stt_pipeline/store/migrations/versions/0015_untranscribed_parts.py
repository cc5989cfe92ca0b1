"""Where the speech without text is in a recording.

Older rows have an empty list: for them the places are not known.
"""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add a column with a constant default: Postgres changes only its catalog, so this is fast for tables of any size."""
    op.execute("ALTER TABLE stt_transcriptions ADD untranscribed_parts jsonb NOT NULL DEFAULT '[]'")


def downgrade() -> None:
    """Drop the column."""
    op.execute("ALTER TABLE stt_transcriptions DROP untranscribed_parts")
