"""Indexes that count mails by status without reading all mails of the past."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the two indexes."""
    op.execute(
        "CREATE INDEX stt_email_logs_unsent ON stt_email_logs (status) "
        "WHERE status IN ('sending', 'failed', 'unconfirmed')"
    )
    op.execute("CREATE INDEX stt_email_logs_sent ON stt_email_logs (sent_at) WHERE sent_at IS NOT NULL")


def downgrade() -> None:
    """Remove them."""
    op.execute("DROP INDEX stt_email_logs_sent")
    op.execute("DROP INDEX stt_email_logs_unsent")
