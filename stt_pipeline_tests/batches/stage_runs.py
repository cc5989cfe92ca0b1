"""Runs of the two stages on shards, for tests, and what they leave in the store."""

import uuid
from pathlib import Path
from typing import Any

from sqlalchemy import text

from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.stages.publish import notify, write_minutes
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.minutes.extractive import ExtractiveSummarizer
from stt_pipeline.notify.notifier import Notifier
from stt_pipeline.speech.transcriber import Transcriber
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline_tests.batches.recordings import OneSpeaker
from stt_pipeline_tests.rows import Rows


def claim_shards(database: Database, keys: list[str], *, max_attempts: int = 2, **how: object) -> ShardClaims:
    claim = ClaimRequest(keys=keys, **{"stage": "transcribe", "run_id": str(uuid.uuid4()), **how})  # type: ignore[arg-type]
    return ShardClaims(database, claim, lease_seconds=60, max_attempts=max_attempts)


def transcribe(database: Database, keys: list[str], transcriber: Transcriber, **how: Any) -> ShardClaims:
    with claim_shards(database, keys, **how) as work:
        probe_files(work)
        transcribe_files(work, lambda options: transcriber)
        find_speakers(work, lambda options: OneSpeaker())
    return work


def publish(database: Database, keys: list[str], notifier: Notifier, **how: object) -> ShardClaims:
    with claim_shards(database, keys, stage="publish", **how) as work:
        write_minutes(work, lambda options: ExtractiveSummarizer())
        notify(work, lambda recipient: notifier)
    return work


def statuses_of(database: Database, batch_id: int) -> dict[str, str]:
    with database.begin() as connection:
        return {
            Path(file.uri).name: f"{file.status} {file.error_class or ''}".strip()
            for file in files.of_batch(connection, batch_id)
        }


def dispatched(database: Database) -> str:
    """Write a token to the shards, as the dispatcher does, and return it."""
    token = str(uuid.uuid4())
    Rows(database).change(tables.shards, token=token)
    return token


def count_results(database: Database) -> tuple[int, int, int]:
    with database.begin() as connection:
        return tuple(  # type: ignore[return-value]
            connection.scalar(text(f"SELECT count(*) FROM {table}"))
            for table in ("stt_transcriptions", "stt_summaries", "stt_email_logs")
        )
