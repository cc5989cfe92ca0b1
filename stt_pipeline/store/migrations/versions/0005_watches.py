"""Watches: new files in a source become batches automatically."""

from alembic import op

revision = "0005"
down_revision = "0004"

_UP = (
    """
    CREATE TABLE stt_watches (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        source_path text NOT NULL,
        file_pattern text NOT NULL DEFAULT '',
        queue_url text NOT NULL DEFAULT '',
        batching text NOT NULL CHECK (batching IN ('daily', 'arrival')),
        priority text NOT NULL DEFAULT 'normal',
        notify_emails text[] NOT NULL DEFAULT '{}',
        options jsonb NOT NULL DEFAULT '{}',
        since timestamptz,
        created_by text NOT NULL DEFAULT '',
        created_at timestamptz NOT NULL DEFAULT now(),
        look_back text NOT NULL DEFAULT '',
        sweep text NOT NULL DEFAULT '',
        caught_up_at timestamptz,
        swept_at timestamptz,
        looked_at timestamptz,
        found_at timestamptz,
        files bigint NOT NULL DEFAULT 0,
        error text
    )
    """,
    # no foreign keys: batches and files keep the id of a watch after it is removed
    "ALTER TABLE stt_batches ADD watch_id bigint",
    "ALTER TABLE stt_batches ADD open_until timestamptz",
    "CREATE INDEX stt_batches_watch ON stt_batches (watch_id, id) WHERE watch_id IS NOT NULL",
    "ALTER TABLE stt_audio_files ADD watch_id bigint",
    "CREATE UNIQUE INDEX stt_audio_files_watch ON stt_audio_files (watch_id, uri, etag) WHERE watch_id IS NOT NULL",
    """
    CREATE TABLE stt_dead_letters (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        queue_url text NOT NULL,
        message_id text NOT NULL,
        body text NOT NULL,
        error text NOT NULL,
        at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (queue_url, message_id)
    )
    """,
)

_DOWN = (
    "DROP TABLE stt_dead_letters",
    "DROP INDEX stt_audio_files_watch",
    "ALTER TABLE stt_audio_files DROP watch_id",
    "DROP INDEX stt_batches_watch",
    "ALTER TABLE stt_batches DROP open_until, DROP watch_id",
    "DROP TABLE stt_watches",
)


def upgrade() -> None:
    """Change the tables."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Revert the changes."""
    for statement in _DOWN:
        op.execute(statement)
