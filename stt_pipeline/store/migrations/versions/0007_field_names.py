"""Rename columns to the terms of the field.

The JSON in existing rows keeps its old keys; ``speech.transcript`` reads both.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

_RENAMED = (
    ("stt_batches", "deaths", "crashes"),
    ("stt_shards", "deaths", "crashes"),
    ("stt_shards", "file_in_hand", "active_file_id"),
    ("stt_transcriptions", "speech_seconds_without_text", "untranscribed_speech_seconds"),
)


def upgrade() -> None:
    """Rename the columns. Postgres changes only its catalog, so this is fast for tables of any size."""
    for table, old, new in _RENAMED:
        op.alter_column(table, old, new_column_name=new)


def downgrade() -> None:
    """Restore the old names."""
    for table, old, new in _RENAMED:
        op.alter_column(table, new, new_column_name=old)
