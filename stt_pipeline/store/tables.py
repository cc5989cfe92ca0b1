"""The tables as SQLAlchemy sees them. The migrations make them; a test holds the two together.

What a column means to people is in docs/data.md. A *lease* is the same set of columns on batches and on shards.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

metadata = MetaData()

LARGEST_ID = (1 << 63) - 1
"""Of a bigint; with a larger number Postgres would not even compare."""


def _id() -> "Column[int]":
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def _time(name: str, *, now: bool = False) -> "Column[object]":
    return Column(name, DateTime(timezone=True), nullable=not now, server_default=func.now() if now else None)


def _count(name: str) -> "Column[int]":
    return Column(name, Integer, nullable=False, server_default="0")


def _seconds(name: str) -> "Column[float]":
    return Column(name, Double, nullable=False, server_default="0")


def _lease() -> "list[Column[object]]":
    """Who may work on this row: see ``store.leases``."""
    return [
        Column("stage", Text, nullable=False),
        Column("token", Uuid(as_uuid=False)),
        _time("dispatched_at"),
        Column("run_id", Text),
        _time("lease_until"),
        Column("tries", SmallInteger, nullable=False, server_default="0"),
        Column("crashes", SmallInteger, nullable=False, server_default="0"),
        _time("not_before"),
    ]


watches = Table(
    "stt_watches",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("source_path", Text, nullable=False),
    Column("file_pattern", Text, nullable=False, server_default=""),
    Column("queue_url", Text, nullable=False, server_default=""),
    Column("batching", Text, nullable=False),
    Column("priority", Text, nullable=False, server_default="normal"),
    Column("notify_emails", ARRAY(Text), nullable=False, server_default="{}"),
    Column("options", JSONB, nullable=False, server_default="{}"),
    _time("since"),
    Column("created_by", Text, nullable=False, server_default=""),
    _time("created_at", now=True),
    Column("look_back", Text, nullable=False, server_default=""),
    Column("sweep", Text, nullable=False, server_default=""),
    _time("caught_up_at"),
    _time("swept_at"),
    _time("looked_at"),
    _time("found_at"),
    Column("files", BigInteger, nullable=False, server_default="0"),
    Column("error", Text),
)

batches = Table(
    "stt_batches",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("source_path", Text, nullable=False),
    Column("file_pattern", Text, nullable=False, server_default=""),
    Column("total_files", Integer),
    Column("files_per_shard", Integer),
    Column("status", Text, nullable=False, server_default="pending"),
    Column("priority", Text, nullable=False, server_default="normal"),
    Column("notify_emails", ARRAY(Text), nullable=False, server_default="{}"),
    Column("created_by", Text, nullable=False, server_default=""),
    _time("created_at", now=True),
    Column("options", JSONB, nullable=False, server_default="{}"),
    Column("error", Text),
    _time("scanned_at"),
    _time("completed_at"),
    _time("retired_at"),
    Column("retry_class", Text),
    Column("retry_after", Integer),
    Column("watch_id", BigInteger),
    _time("open_until"),
    *_lease(),
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
    _id(),
    Column("batch_id", ForeignKey("stt_batches.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("registered", Boolean, nullable=False, server_default="false"),
    _count("total"),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    _count("completed"),
    _count("failed"),
    Column("failures", JSONB, nullable=False, server_default="{}"),
    _seconds("audio_seconds"),
    _seconds("busy_seconds"),
    Column("active_file_id", BigInteger),
    *_lease(),
    UniqueConstraint("batch_id", "number"),
    Index("stt_shards_open", "batch_id", "stage", "number", postgresql_where=text("stage <> 'done'")),
    Index("stt_shards_leased", "token", postgresql_where=text("token IS NOT NULL")),
)

audio_files = Table(
    "stt_audio_files",
    metadata,
    _id(),
    # no foreign key: the shard has one, and checking two costs a fifth of the intake of millions
    Column("batch_id", BigInteger, nullable=False),
    Column("shard_id", ForeignKey("stt_shards.id", ondelete="CASCADE"), nullable=False),
    Column("uri", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("etag", Text, nullable=False),
    _time("created_at", now=True),
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

transcriptions = Table(
    "stt_transcriptions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("batch_id", BigInteger, nullable=False),
    Column("audio_file_id", BigInteger, nullable=False),
    Column("audio_file_path", Text, nullable=False),
    Column("transcription_text", Text, nullable=False),
    Column("speaker_labels", JSONB),
    Column("segments", JSONB, nullable=False),
    Column("status", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("language_probability", Double, nullable=False),
    Column("duration", Double, nullable=False),
    Column("model", Text, nullable=False),
    Column("notes", ARRAY(Text), nullable=False, server_default="{}"),
    Column("created_at", DateTime(timezone=True), primary_key=True),
    Column("ex_gpt_task_id", Text),
    _time("processing_started_at"),
    _time("processing_completed_at"),
    Column("processing_duration", Double),
    Column("quality", Double),
    _seconds("speech_seconds"),
    _seconds("untranscribed_speech_seconds"),
    _count("suspect_segments"),
    UniqueConstraint("audio_file_id", "created_at"),
    Index("stt_transcriptions_batch", "batch_id"),
    Index("stt_transcriptions_status", "status"),
    Index(
        "stt_transcriptions_quality",
        "batch_id",
        "quality",
        "id",
        postgresql_where=text("quality IS NOT NULL AND status <> 'outdated'"),
    ),
    postgresql_partition_by="RANGE (created_at)",
)

summaries = Table(
    "stt_summaries",
    metadata,
    _id(),
    Column("transcription_id", BigInteger, nullable=False),
    Column("transcription_created_at", DateTime(timezone=True), nullable=False),
    Column("title", Text, nullable=False),
    Column("summary_text", Text, nullable=False),
    Column("topics", ARRAY(Text), nullable=False),
    Column("decisions", ARRAY(Text), nullable=False),
    Column("keywords", ARRAY(Text), nullable=False),
    Column("action_items", JSONB, nullable=False),
    Column("llm_model", Text, nullable=False),
    Column("tokens_used", Integer, nullable=False, server_default="0"),
    _time("created_at", now=True),
    UniqueConstraint("transcription_id", "transcription_created_at"),
    ForeignKeyConstraint(
        ["transcription_id", "transcription_created_at"],
        ["stt_transcriptions.id", "stt_transcriptions.created_at"],
        ondelete="CASCADE",
    ),
)

email_logs = Table(
    "stt_email_logs",
    metadata,
    _id(),
    Column("batch_id", ForeignKey("stt_batches.id", ondelete="CASCADE"), nullable=False),
    Column("summary_id", ForeignKey("stt_summaries.id", ondelete="CASCADE")),
    Column("recipient_email", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("delivery_status", Text),
    _time("created_at", now=True),
    _time("sent_at"),
    Index(
        "stt_email_logs_minutes_once",
        "summary_id",
        "recipient_email",
        unique=True,
        postgresql_where=text("summary_id IS NOT NULL"),
    ),
    Index(
        "stt_email_logs_report_once",
        "batch_id",
        "recipient_email",
        unique=True,
        postgresql_where=text("summary_id IS NULL"),
    ),
    Index("stt_email_logs_batch", "batch_id"),
)

throughput = Table(
    "stt_throughput",
    metadata,
    Column("batch_id", ForeignKey("stt_batches.id", ondelete="CASCADE"), primary_key=True),
    Column("minute", DateTime(timezone=True), primary_key=True),
    _count("files"),
    _seconds("audio_seconds"),
)

heartbeats = Table(
    "stt_heartbeats",
    metadata,
    Column("name", Text, primary_key=True),
    Column("beat_at", DateTime(timezone=True), nullable=False),
)

api_keys = Table(
    "stt_api_keys",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("prefix", Text, nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=False),
    _time("created_at", now=True),
    _time("last_used_at"),
    _time("revoked_at"),
)

dead_letters = Table(
    "stt_dead_letters",
    metadata,
    _id(),
    Column("queue_url", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("error", Text, nullable=False),
    _time("at", now=True),
    UniqueConstraint("queue_url", "message_id"),
)

audit_log = Table(
    "stt_audit_log",
    metadata,
    _id(),
    _time("at", now=True),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("batch_id", BigInteger),
    Column("request_id", Text),
    Column("details", JSONB, nullable=False, server_default="{}"),
    Index("stt_audit_log_batch", "batch_id", "id"),
)

search = Table(
    "stt_search",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("transcription_id", BigInteger, nullable=False),
    Column("transcription_created_at", DateTime(timezone=True), nullable=False),
    Column("batch_id", BigInteger, nullable=False),
    Column("part", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("start", Double),
    Column("text", Text, nullable=False),
    Column("line_starts", ARRAY(Double), nullable=False),
    Column("speakers", ARRAY(Text), nullable=False),
    Column("term_starts", ARRAY(SmallInteger), nullable=False),
    Column("tsv", TSVECTOR, nullable=False),
    UniqueConstraint("transcription_id", "transcription_created_at", "part", "number"),
    ForeignKeyConstraint(
        ["transcription_id", "transcription_created_at"],
        ["stt_transcriptions.id", "stt_transcriptions.created_at"],
        ondelete="CASCADE",
    ),
    Index("stt_search_tsv", "tsv", postgresql_using="gin"),
    Index("stt_search_batch", "batch_id", "id"),
)
