"""The language that the model detects in a recording, also where the batch gives the language.

Older rows have NULL: for them it is not known.
"""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add columns without a default: Postgres changes only its catalog, so this is fast for tables of any size."""
    op.execute(
        "ALTER TABLE stt_transcriptions ADD detected_language text, "
        "ADD detected_language_probability double precision"
    )


def downgrade() -> None:
    """Drop the columns."""
    op.execute("ALTER TABLE stt_transcriptions DROP detected_language, DROP detected_language_probability")
