"""The content of recordings by SHA-256, so that the same recording is not mailed twice to one person."""

from alembic import op

revision = "0011"
down_revision = "0010"

_UP = (
    "ALTER TABLE stt_audio_files ADD content_sha256 bytea",
    """
    CREATE INDEX stt_audio_files_content ON stt_audio_files (content_sha256, id)
        WHERE content_sha256 IS NOT NULL
    """,
    """
    ALTER TABLE stt_email_logs
        ADD kind text NOT NULL DEFAULT 'minutes' CHECK (kind IN ('minutes', 'report', 'digest')),
        ADD content_sha256 bytea,
        ADD again boolean NOT NULL DEFAULT false,
        DROP CONSTRAINT stt_email_logs_status_check,
        ADD CONSTRAINT stt_email_logs_status_check
            CHECK (status IN ('sending', 'sent', 'failed', 'unconfirmed', 'repeated'))
    """,
    "UPDATE stt_email_logs SET kind = 'report' WHERE summary_id IS NULL",
    "ALTER TABLE stt_email_logs ALTER kind DROP DEFAULT",
    """
    CREATE UNIQUE INDEX stt_email_logs_content_once ON stt_email_logs (content_sha256, recipient_email, kind)
        WHERE content_sha256 IS NOT NULL AND NOT again AND status IN ('sending', 'sent', 'unconfirmed')
    """,
    """
    CREATE INDEX stt_email_logs_content ON stt_email_logs (content_sha256, recipient_email)
        WHERE content_sha256 IS NOT NULL
    """,
    "ALTER TABLE stt_shards ADD undelivered integer NOT NULL DEFAULT 0",
    "CREATE INDEX stt_transcriptions_empty ON stt_transcriptions (batch_id) WHERE transcription_text = ''",
    *(
        f"""
        UPDATE {table} SET options = options - 'mail_minutes' ||
            CASE options -> 'mail_minutes' WHEN 'true' THEN '{{"mail": "each"}}'::jsonb
                 WHEN 'false' THEN '{{"mail": "report"}}' ELSE '{{}}' END
        WHERE options ? 'mail_minutes'
        """
        for table in ("stt_batches", "stt_watches")
    ),
)

_DOWN = (
    *(
        f"""
        UPDATE {table} SET options = options - 'mail' - 'mail_again' ||
            CASE options ->> 'mail' WHEN 'each' THEN '{{"mail_minutes": true}}'::jsonb
                 WHEN 'auto' THEN '{{}}' ELSE '{{"mail_minutes": false}}' END
        WHERE options ?| ARRAY['mail', 'mail_again']
        """
        for table in ("stt_watches", "stt_batches")
    ),
    "DROP INDEX stt_transcriptions_empty",
    """
    UPDATE stt_audio_files SET status = 'failed' WHERE shard_id IN (SELECT id FROM stt_shards WHERE undelivered > 0)
        AND status = 'success' AND error_class = 'email'
    """,
    """
    UPDATE stt_shards SET completed = completed - undelivered, failed = failed + undelivered,
        failures = failures || jsonb_build_object('email', undelivered) WHERE undelivered > 0
    """,
    "ALTER TABLE stt_shards DROP undelivered",
    "DROP INDEX stt_email_logs_content",
    "DROP INDEX stt_email_logs_content_once",
    "DELETE FROM stt_email_logs WHERE status = 'repeated'",
    """
    ALTER TABLE stt_email_logs
        DROP kind, DROP content_sha256, DROP again,
        DROP CONSTRAINT stt_email_logs_status_check,
        ADD CONSTRAINT stt_email_logs_status_check CHECK (status IN ('sending', 'sent', 'failed', 'unconfirmed'))
    """,
    "DROP INDEX stt_audio_files_content",
    "ALTER TABLE stt_audio_files DROP content_sha256",
)


def upgrade() -> None:
    """Change the tables."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Revert the changes."""
    for statement in _DOWN:
        op.execute(statement)
