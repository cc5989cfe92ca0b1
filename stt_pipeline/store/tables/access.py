"""Tables of access: API keys and the audit log."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from stt_pipeline.store.tables.columns import id_column, metadata, time_column

api_keys = Table(
    "stt_api_keys",
    metadata,
    id_column(),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("prefix", Text, nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=False),
    time_column("created_at", now=True),
    time_column("last_used_at"),
    time_column("revoked_at"),
)

audit_log = Table(
    "stt_audit_log",
    metadata,
    id_column(),
    time_column("at", now=True),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("batch_id", BigInteger),
    Column("request_id", Text),
    Column("details", JSONB, nullable=False, server_default="{}"),
    Index("stt_audit_log_batch", "batch_id", "id"),
)
