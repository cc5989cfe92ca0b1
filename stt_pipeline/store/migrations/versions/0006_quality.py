"""The quality of each transcript, and an index on the lowest quality of a batch."""

from alembic import op

revision = "0006"
down_revision = "0005"

_UP = (
    """
    ALTER TABLE stt_transcriptions
        ADD quality double precision,
        ADD speech_seconds double precision NOT NULL DEFAULT 0,
        ADD speech_seconds_without_text double precision NOT NULL DEFAULT 0,
        ADD suspect_segments integer NOT NULL DEFAULT 0
    """,
    """
    CREATE INDEX stt_transcriptions_quality ON stt_transcriptions (batch_id, quality, id)
        WHERE quality IS NOT NULL AND status <> 'outdated'
    """,
)

_DOWN = (
    "DROP INDEX stt_transcriptions_quality",
    """
    ALTER TABLE stt_transcriptions DROP quality, DROP speech_seconds, DROP speech_seconds_without_text,
        DROP suspect_segments
    """,
)


def upgrade() -> None:
    """Change the tables."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Revert the changes."""
    for statement in _DOWN:
        op.execute(statement)
