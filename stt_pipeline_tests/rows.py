"""Writes rows to the tables for tests: whole rows with defaults, and changes of existing rows.

Tests use it for states that the code under test does not reach by itself, instead of SQL of their own.
"""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, delete, insert, literal, null, select, text, update

from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import VERSION_TABLE
from stt_pipeline.store.queue import shards as shard_queries
from stt_pipeline.store.tables import audio_files, batches, email_logs, shards, summaries, transcriptions


class Rows:
    """The rows of one database. Values are given by the names of the columns; each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._numbers = itertools.count()

    def batch(self, **values: Any) -> int:
        """Insert a scanned batch without shards, and return its id."""
        defaults: dict[str, Any] = {
            "name": "meetings",
            "source_path": "file:///meetings",
            "status": "processing",
            "stage": "shards",
            "scanned_at": datetime.now(UTC),
        }
        return self._insert(batches, defaults | values)

    def shard(self, batch_id: int, **values: Any) -> int:
        """Insert a registered shard without files that waits for transcription, and return its id."""
        number = values.get("number", next(self._numbers))
        defaults = {"number": number, "key": f"{batch_id:06d}-{number:06d}", "registered": True}
        return self._insert(shards, defaults | {"batch_id": batch_id, "stage": "transcribe"} | values)

    def audio_file(self, shard_id: int, **values: Any) -> int:
        """Insert a pending file, update the counters of its shard, and return the id of the file."""
        with self._database.begin() as connection:
            batch_id = connection.scalar(select(shards.c.batch_id).where(shards.c.id == shard_id))
        uri = f"file:///meetings/{next(self._numbers)}.wav"
        defaults = {"batch_id": batch_id, "shard_id": shard_id, "uri": uri, "size": 44, "etag": "1"}
        file_id = self._insert(audio_files, defaults | values)
        self.change(shards, shards.c.id == shard_id, total=shards.c.total + 1)
        with self._database.begin() as connection:
            shard_queries.count_files(connection, [shard_id])
        return file_id

    def transcription(self, audio_file_id: int, **values: Any) -> int:
        """Insert a completed Korean transcription without segments, and return its id.

        Its batch, path and ``created_at`` are those of the audio file, if that has a row.
        """
        columns = (
            audio_files.c.batch_id,
            audio_files.c.created_at,
            audio_files.c.uri.label("audio_file_path"),
        )
        with self._database.begin() as connection:
            file = connection.execute(select(*columns).where(audio_files.c.id == audio_file_id)).one_or_none()
        now = datetime.now(UTC)
        defaults: dict[str, Any] = {
            "batch_id": 1,
            "audio_file_id": audio_file_id,
            "audio_file_path": "file:///meetings/a.wav",
            "created_at": now,
            "transcription_text": "",
            "segments": [],
            "speaker_labels": [],
            "status": "completed",
            "language": "ko",
            "language_probability": 1.0,
            "duration": 1.0,
            "model": "none",
            "processing_completed_at": now,
            "processing_duration": 1.0,
        }
        return self._insert(transcriptions, defaults | (dict(file._mapping) if file else {}) | values)

    def minutes(self, transcription_id: int, **values: Any) -> int:
        """Insert empty minutes of a transcription, and return their id."""
        with self._database.begin() as connection:
            created_at = connection.scalar(
                select(transcriptions.c.created_at).where(transcriptions.c.id == transcription_id)
            )
        defaults: dict[str, Any] = {
            "transcription_id": transcription_id,
            "transcription_created_at": created_at,
            "title": "회의",
            "summary_text": "",
            "llm_model": "none",
            "topics": [],
            "decisions": [],
            "keywords": [],
            "action_items": [],
        }
        return self._insert(summaries, defaults | values)

    def mail(self, batch_id: int, **values: Any) -> int:
        """Insert a report mail of a batch that was sent now, unless it has another status, and return its id."""
        defaults: dict[str, Any] = {"recipient_email": "kim@example.com", "status": "sent", "kind": "report"}
        sent_at = datetime.now(UTC) if values.get("status", "sent") == "sent" else None
        return self._insert(email_logs, defaults | {"batch_id": batch_id, "sent_at": sent_at} | values)

    def fail(self, *where: ColumnElement[bool], error_class: str, error: str = "broken") -> None:
        """Fail audio files after three attempts, and update the counters of their shards."""
        failed = {"status": "failed", "attempts": 3, "error_class": error_class, "error": error}
        with self._database.begin() as connection:
            changed = connection.scalars(
                update(audio_files).where(*where).values(failed).returning(audio_files.c.shard_id)
            ).all()
            assert changed, "no such file"
            shard_queries.count_files(connection, changed)

    def change(self, table: Table, *where: ColumnElement[bool], **values: Any) -> None:
        """Set columns of all rows of a table, or of those that match all conditions."""
        with self._database.begin() as connection:
            changed = connection.execute(update(table).where(*where).values(_with_nulls(values))).rowcount
        assert changed, "no such row"

    def delete(self, table: Table, *where: ColumnElement[bool]) -> None:
        """Delete all rows of a table, or those that match all conditions."""
        with self._database.begin() as connection:
            connection.execute(delete(table).where(*where))

    def insert_each(self, table: Table, query: Select[Any], **values: Any) -> None:
        """Insert a row for each row of a query, with its columns by name and the same ``values`` in all."""
        same = (literal(value, table.c[name].type).label(name) for name, value in values.items())
        rows = query.add_columns(*same)
        with self._database.begin() as connection:
            connection.execute(insert(table).from_select(rows.selected_columns.keys(), rows))

    def expire_leases(self, table: Table) -> None:
        """Let all leases on batches or shards expire, as when the heartbeats of their runs stopped."""
        expired = datetime.now(UTC) - timedelta(seconds=1)
        with self._database.begin() as connection:
            connection.execute(
                update(table).where(table.c.lease_until.is_not(None)).values(lease_until=expired)
            )

    def set_schema_version(self, version: str) -> None:
        """Set the version of the schema that the database claims to have."""
        with self._database.begin() as connection:
            connection.execute(
                text(f"UPDATE {VERSION_TABLE} SET version_num = :version"), {"version": version}
            )

    def _insert(self, table: Table, values: dict[str, Any]) -> int:
        with self._database.begin() as connection:
            row_id: int = connection.execute(
                insert(table).values(_with_nulls(values)).returning(table.c.id)
            ).scalar_one()
        return row_id


def _with_nulls(values: dict[str, Any]) -> dict[str, Any]:
    # None in a JSON column is JSON's null for SQLAlchemy
    return {name: null() if value is None else value for name, value in values.items()}
