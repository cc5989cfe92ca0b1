"""Rename columns and stages to the terms of the field.

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
    _rename_stage("intake", "scan")


def downgrade() -> None:
    """Restore the old names."""
    for table, old, new in _RENAMED:
        op.alter_column(table, new, new_column_name=old)
    _rename_stage("scan", "intake")


def _rename_stage(old: str, new: str) -> None:
    op.execute("ALTER TABLE stt_batches DROP CONSTRAINT stt_batches_stage_check")
    op.execute(f"UPDATE stt_batches SET stage = '{new}' WHERE stage = '{old}'")
    op.execute(
        "ALTER TABLE stt_batches ADD CONSTRAINT stt_batches_stage_check "
        f"CHECK (stage IN ('{new}', 'shards', 'report', 'cancel', 'delete', 'done'))"
    )
