"""The tables as SQLAlchemy sees them, a module for each room of the store.

The migrations create them; a test compares both. docs/data.md describes every column.
"""

from stt_pipeline.store.tables.access import api_keys, audit_log
from stt_pipeline.store.tables.columns import LARGEST_ID, metadata
from stt_pipeline.store.tables.manifest import audio_files, dead_letters, watches
from stt_pipeline.store.tables.queue import batches, heartbeats, shards, throughput
from stt_pipeline.store.tables.results import email_logs, search, summaries, transcriptions

__all__ = [
    "LARGEST_ID",
    "api_keys",
    "audio_files",
    "audit_log",
    "batches",
    "dead_letters",
    "email_logs",
    "heartbeats",
    "metadata",
    "search",
    "shards",
    "summaries",
    "throughput",
    "transcriptions",
    "watches",
]
