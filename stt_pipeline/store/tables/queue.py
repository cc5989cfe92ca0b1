"""Tables of the work queue: batches, shards, throughput and heartbeats."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from stt_pipeline.store.tables.columns import (
    count_column,
    id_column,
    lease_columns,
    metadata,
    seconds_column,
    time_column,
)

batches = Table(
    "stt_batches",
    metadata,
    id_column(),
    Column("name", Text, nullable=False),
    Column("partition_name", Text, nullable=False, server_default=""),
    Column("source_path", Text, nullable=False),
    Column("file_pattern", Text, nullable=False, server_default=""),
    Column("total_files", Integer),
    Column("files_per_shard", Integer),
    Column("status", Text, nullable=False, server_default="pending"),
    Column("priority", Text, nullable=False, server_default="normal"),
    Column("notify_emails", ARRAY(Text), nullable=False, server_default="{}"),
    Column("created_by", Text, nullable=False, server_default=""),
    time_column("created_at", now=True),
    Column("options", JSONB, nullable=False, server_default="{}"),
    Column("error", Text),
    time_column("scanned_at"),
    time_column("completed_at"),
    time_column("retired_at"),
    Column("retry_class", Text),
    Column("retry_after", Integer),
    Column("watch_id", BigInteger),
    time_column("open_until"),
    *lease_columns(),
    Index("stt_batches_status", "status"),
    Index("stt_batches_open", "id", postgresql_where=text("stage <> 'done'")),
    Index(
        "stt_batches_to_retire",
        "completed_at",
        postgresql_where=text("completed_at IS NOT NULL AND retired_at IS NULL"),
    ),
    Index("stt_batches_watch", "watch_id", "id", postgresql_where=text("watch_id IS NOT NULL")),
    Index("stt_batches_to_retry", "id", postgresql_where=text("retry_after IS NOT NULL")),
)

shards = Table(
    "stt_shards",
    metadata,
    id_column(),
    Column("batch_id", ForeignKey("stt_batches.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("registered", Boolean, nullable=False, server_default="false"),
    count_column("total"),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    count_column("transcribed"),
    count_column("completed"),
    count_column("failed"),
    Column("failures", JSONB, nullable=False, server_default="{}"),
    seconds_column("audio_seconds"),
    seconds_column("busy_seconds"),
    seconds_column("transcribe_seconds"),
    seconds_column("probed_seconds"),
    Column("active_file_id", BigInteger),
    Column("preempted_token", Uuid(as_uuid=False)),
    Column("preemptions", SmallInteger, nullable=False, server_default="0"),
    count_column("undelivered"),
    *lease_columns(),
    UniqueConstraint("batch_id", "number"),
    Index("stt_shards_open", "batch_id", "stage", "number", postgresql_where=text("stage <> 'done'")),
    Index("stt_shards_leased", "token", postgresql_where=text("token IS NOT NULL")),
)

throughput = Table(
    "stt_throughput",
    metadata,
    Column("batch_id", ForeignKey("stt_batches.id", ondelete="CASCADE"), primary_key=True),
    Column("minute", DateTime(timezone=True), primary_key=True),
    count_column("files"),
    count_column("transcribed"),
    seconds_column("audio_seconds"),
)

heartbeats = Table(
    "stt_heartbeats",
    metadata,
    Column("name", Text, primary_key=True),
    Column("beat_at", DateTime(timezone=True), nullable=False),
)
