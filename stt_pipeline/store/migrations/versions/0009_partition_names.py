"""Store the name in the Dagster partition key of a batch, which a new name of the batch does not change.

Keys of existing batches stay as they are: their number alone.
"""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column. Postgres changes only its catalog."""
    op.execute("ALTER TABLE stt_batches ADD partition_name text NOT NULL DEFAULT ''")


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("stt_batches", "partition_name")
