"""Tables of the manifest: watches, audio files and dead letters."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from stt_pipeline.store.tables.columns import id_column, metadata, time_column

watches = Table(
    "stt_watches",
    metadata,
    id_column(),
    Column("name", Text, nullable=False),
    Column("source_path", Text, nullable=False),
    Column("file_pattern", Text, nullable=False, server_default=""),
    Column("queue_url", Text, nullable=False, server_default=""),
    Column("batching", Text, nullable=False),
    Column("priority", Text, nullable=False, server_default="normal"),
    Column("notify_emails", ARRAY(Text), nullable=False, server_default="{}"),
    Column("options", JSONB, nullable=False, server_default="{}"),
    time_column("since"),
    Column("created_by", Text, nullable=False, server_default=""),
    time_column("created_at", now=True),
    Column("look_back", Text, nullable=False, server_default=""),
    Column("sweep", Text, nullable=False, server_default=""),
    time_column("caught_up_at"),
    time_column("swept_at"),
    time_column("looked_at"),
    time_column("found_at"),
    Column("files", BigInteger, nullable=False, server_default="0"),
    Column("error", Text),
)

audio_files = Table(
    "stt_audio_files",
    metadata,
    id_column(),
    # no foreign key: the shard has one, and checking two would take a fifth of the scan of millions
    Column("batch_id", BigInteger, nullable=False),
    Column("shard_id", ForeignKey("stt_shards.id", ondelete="CASCADE"), nullable=False),
    Column("uri", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("etag", Text, nullable=False),
    time_column("created_at", now=True),
    Column("status", Text, nullable=False, server_default="pending"),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("error_class", Text),
    Column("error", Text),
    Column("duration", Double),
    Column("sample_rate", Integer),
    Column("channels", SmallInteger),
    Column("codec", Text),
    Column("container", Text),
    Column("watch_id", BigInteger),
    UniqueConstraint("batch_id", "uri", "etag"),
    Index(
        "stt_audio_files_watch",
        "watch_id",
        "uri",
        "etag",
        unique=True,
        postgresql_where=text("watch_id IS NOT NULL"),
    ),
    Index("stt_audio_files_shard", "shard_id"),
    Index("stt_audio_files_batch", "batch_id", "id"),
    Index(
        "stt_audio_files_failed",
        "batch_id",
        "error_class",
        "id",
        postgresql_where=text("status = 'failed'"),
    ),
)

dead_letters = Table(
    "stt_dead_letters",
    metadata,
    id_column(),
    Column("queue_url", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("error", Text, nullable=False),
    time_column("at", now=True),
    UniqueConstraint("queue_url", "message_id"),
)
