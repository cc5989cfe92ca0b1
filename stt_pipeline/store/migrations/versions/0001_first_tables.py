"""The first tables.

``stt_transcriptions`` is range-partitioned by month. ``store.results.transcriptions.ensure_months`` creates the
partitions of the months; a default partition takes all other rows.
"""

from alembic import op

revision = "0001"
down_revision = None

_LEASE = """
    stage text NOT NULL,
    token uuid,
    dispatched_at timestamptz,
    run_id text,
    lease_until timestamptz,
    tries smallint NOT NULL DEFAULT 0,
    deaths smallint NOT NULL DEFAULT 0,
    not_before timestamptz
"""

_STATEMENTS = (
    f"""
    CREATE TABLE stt_batches (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        source_path text NOT NULL,
        file_pattern text NOT NULL DEFAULT '',
        total_files integer,
        files_per_shard integer,
        status text NOT NULL DEFAULT 'pending' CHECK (status IN (
            'pending', 'scanning', 'processing', 'paused', 'completed', 'failed', 'cancelled', 'deleting')),
        priority text NOT NULL DEFAULT 'normal' CHECK (priority IN ('high', 'normal', 'low')),
        notify_emails text[] NOT NULL DEFAULT '{{}}',
        created_by text NOT NULL DEFAULT '',
        created_at timestamptz NOT NULL DEFAULT now(),
        options jsonb NOT NULL DEFAULT '{{}}',
        error text,
        scanned_at timestamptz,
        completed_at timestamptz,
        {_LEASE},
        CHECK (stage IN ('intake', 'shards', 'report', 'done'))
    )
    """,
    "CREATE INDEX stt_batches_status ON stt_batches (status)",
    "CREATE INDEX stt_batches_open ON stt_batches (id) WHERE stage <> 'done'",
    f"""
    CREATE TABLE stt_shards (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        batch_id bigint NOT NULL REFERENCES stt_batches ON DELETE CASCADE,
        number integer NOT NULL,
        key text NOT NULL UNIQUE,
        registered boolean NOT NULL DEFAULT false,
        total integer NOT NULL DEFAULT 0,
        completed integer NOT NULL DEFAULT 0,
        failed integer NOT NULL DEFAULT 0,
        audio_seconds double precision NOT NULL DEFAULT 0,
        busy_seconds double precision NOT NULL DEFAULT 0,
        file_in_hand bigint,
        {_LEASE},
        UNIQUE (batch_id, number),
        CHECK (stage IN ('transcribe', 'publish', 'done'))
    )
    """,
    "CREATE INDEX stt_shards_open ON stt_shards (batch_id, stage, number) WHERE stage <> 'done'",
    "CREATE INDEX stt_shards_leased ON stt_shards (token) WHERE token IS NOT NULL",
    """
    CREATE TABLE stt_audio_files (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        batch_id bigint NOT NULL REFERENCES stt_batches ON DELETE CASCADE,
        shard_id bigint REFERENCES stt_shards ON DELETE CASCADE,
        uri text NOT NULL,
        size bigint NOT NULL,
        etag text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'transcribed', 'success', 'failed')),
        attempts smallint NOT NULL DEFAULT 0,
        error_class text,
        error text,
        duration double precision,
        sample_rate integer,
        channels smallint,
        codec text,
        container text,
        UNIQUE (batch_id, uri, etag)
    )
    """,
    "CREATE INDEX stt_audio_files_shard ON stt_audio_files (shard_id)",
    "CREATE INDEX stt_audio_files_unsharded ON stt_audio_files (batch_id, id) WHERE shard_id IS NULL",
    """
    CREATE INDEX stt_audio_files_failed ON stt_audio_files (batch_id, error_class, id)
        WHERE status = 'failed'
    """,
    """
    CREATE TABLE stt_transcriptions (
        id bigint GENERATED ALWAYS AS IDENTITY,
        batch_id bigint NOT NULL,
        audio_file_id bigint NOT NULL,
        audio_file_path text NOT NULL,
        transcription_text text NOT NULL,
        speaker_labels jsonb,
        segments jsonb NOT NULL,
        status text NOT NULL CHECK (status IN ('transcribed', 'completed', 'outdated')),
        language text NOT NULL,
        language_probability double precision NOT NULL,
        duration double precision NOT NULL,
        model text NOT NULL,
        notes text[] NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL,
        ex_gpt_task_id text,
        processing_started_at timestamptz,
        processing_completed_at timestamptz,
        processing_duration double precision,
        PRIMARY KEY (id, created_at),
        UNIQUE (audio_file_id, created_at)
    ) PARTITION BY RANGE (created_at)
    """,
    "CREATE TABLE stt_transcriptions_default PARTITION OF stt_transcriptions DEFAULT",
    "CREATE INDEX stt_transcriptions_batch ON stt_transcriptions (batch_id)",
    "CREATE INDEX stt_transcriptions_status ON stt_transcriptions (status)",
    """
    CREATE TABLE stt_summaries (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        transcription_id bigint NOT NULL,
        transcription_created_at timestamptz NOT NULL,
        title text NOT NULL,
        summary_text text NOT NULL,
        topics text[] NOT NULL,
        decisions text[] NOT NULL,
        keywords text[] NOT NULL,
        action_items jsonb NOT NULL,
        llm_model text NOT NULL,
        tokens_used integer NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (transcription_id, transcription_created_at),
        FOREIGN KEY (transcription_id, transcription_created_at)
            REFERENCES stt_transcriptions (id, created_at) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE stt_email_logs (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        batch_id bigint NOT NULL REFERENCES stt_batches ON DELETE CASCADE,
        summary_id bigint REFERENCES stt_summaries ON DELETE CASCADE,
        recipient_email text NOT NULL,
        status text NOT NULL CHECK (status IN ('sending', 'sent', 'failed', 'unconfirmed')),
        delivery_status text,
        created_at timestamptz NOT NULL DEFAULT now(),
        sent_at timestamptz
    )
    """,
    """
    CREATE UNIQUE INDEX stt_email_logs_minutes_once ON stt_email_logs (summary_id, recipient_email)
        WHERE summary_id IS NOT NULL
    """,
    """
    CREATE UNIQUE INDEX stt_email_logs_report_once ON stt_email_logs (batch_id, recipient_email)
        WHERE summary_id IS NULL
    """,
    "CREATE INDEX stt_email_logs_batch ON stt_email_logs (batch_id)",
    """
    CREATE TABLE stt_throughput (
        batch_id bigint NOT NULL REFERENCES stt_batches ON DELETE CASCADE,
        minute timestamptz NOT NULL,
        files integer NOT NULL DEFAULT 0,
        audio_seconds double precision NOT NULL DEFAULT 0,
        PRIMARY KEY (batch_id, minute)
    )
    """,
    "CREATE TABLE stt_heartbeats (name text PRIMARY KEY, beat_at timestamptz NOT NULL)",
)

_TABLES = (
    "stt_heartbeats",
    "stt_throughput",
    "stt_email_logs",
    "stt_summaries",
    "stt_transcriptions",
    "stt_audio_files",
    "stt_shards",
    "stt_batches",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables with all their rows."""
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")
