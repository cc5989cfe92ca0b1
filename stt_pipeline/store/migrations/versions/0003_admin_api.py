"""The admin API: keys, the audit log, and retries that the dispatcher runs in the background."""

from alembic import op

revision = "0003"
down_revision = "0002"

_UP = (
    "ALTER TABLE stt_batches ADD retry_class text, ADD retry_after integer",
    "CREATE INDEX stt_batches_to_retry ON stt_batches (id) WHERE retry_after IS NOT NULL",
    """
    CREATE TABLE stt_api_keys (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
        prefix text NOT NULL UNIQUE,
        hash bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        last_used_at timestamptz,
        revoked_at timestamptz
    )
    """,
    # no foreign key: entries of a batch stay after its deletion
    """
    CREATE TABLE stt_audit_log (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT now(),
        who text NOT NULL,
        action text NOT NULL,
        batch_id bigint,
        request_id text,
        details jsonb NOT NULL DEFAULT '{}'
    )
    """,
    "CREATE INDEX stt_audit_log_batch ON stt_audit_log (batch_id, id)",
)

_DOWN = (
    "DROP TABLE stt_audit_log",
    "DROP TABLE stt_api_keys",
    "DROP INDEX stt_batches_to_retry",
    "ALTER TABLE stt_batches DROP retry_class, DROP retry_after",
)


def upgrade() -> None:
    """Change the tables."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Revert the changes."""
    for statement in _DOWN:
        op.execute(statement)
