"""Adds new objects of a watched source to a batch: the one of the day, or a new one.

Polls and queues both end here, and may report an object any number of times, in any order. A watch adds each content
(uri and etag) once; the manifest's files decide what is new.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from stt_pipeline.audio.sources import SourceObject
from stt_pipeline.batches.execution.batch_claim import BatchClaim, claim, held
from stt_pipeline.batches.ingest.scan import AddPartitions, add_staged_files, stage_new_files, start_scan
from stt_pipeline.batches.keys import clean_name
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.settings import Settings
from stt_pipeline.store.access import audit
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.manifest.watches import Watch
from stt_pipeline.store.queue import batches


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """How objects become files of batches.

    Attributes:
        add_partitions: adds shard keys to Dagster.
        max_file_bytes: larger files are failed in the manifest, and are never read.
        timezone: decides when a day begins and ends.
    """

    add_partitions: AddPartitions
    max_file_bytes: int
    lease_seconds: int
    timezone: ZoneInfo

    @classmethod
    def from_settings(cls, settings: Settings, add_partitions: AddPartitions) -> "IngestConfig":
        """Return the config of the settings."""
        return cls(
            add_partitions, settings.max_file_bytes, settings.lease_seconds, ZoneInfo(settings.timezone)
        )


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The number of new files and their batch; None without new files."""

    new_files: int = 0
    batch_id: int | None = None


def ingest_objects(
    database: Database, watch: Watch, objects: Iterable[SourceObject], config: IngestConfig
) -> IngestResult:
    """Add the objects that are new to the watch to its batch. Objects from before ``watch.since`` are skipped.

    It may be killed at any point and called again: the files are in the manifest then, and the dispatcher finishes the scan.

    Raises:
        ConflictError: another run works on the day's batch; try again later. Nothing is written.
        NotFoundError: the watch was removed meanwhile.
    """
    # each once: duplicates would be cut into two shards, one of them empty
    wanted = {
        (found.uri, found.etag): found
        for found in objects
        if watch.since is None or found.modified_at >= watch.since
    }
    with database.scratch() as connection:
        new, _ = stage_new_files(connection, wanted.values(), batch_id=None, watch_id=watch.id)
        if not new:
            return IngestResult()
        batch_claim = _claim_batch(database, watch, config)
        with held(batch_claim, config.lease_seconds):
            start_scan(batch_claim)
            added = add_staged_files(
                batch_claim,
                connection,
                add_partitions=config.add_partitions,
                max_file_bytes=config.max_file_bytes,
            )
    return IngestResult(added.new_files, batch_claim.batch.id)


def _claim_batch(database: Database, watch: Watch, config: IngestConfig) -> BatchClaim:
    """Claim the watch's open batch, or a new one before others can see it."""
    with database.begin() as connection:
        watches.get(connection, watch.id, lock=True)
        batch_id = watches.open_batch(connection, watch.id) if watch.batching == "daily" else None
        if batch_id is None:
            batch_id = _create_batch(connection, watch, datetime.now(config.timezone))
        return claim(
            database,
            connection,
            batch_id,
            # unique, because another process may poll the same watch
            run_id=f"watch {watch.id} ({uuid.uuid4().hex[:8]})",
            token=None,
            lease_seconds=config.lease_seconds,
        )


def _create_batch(connection: Connection, watch: Watch, now: datetime) -> int:
    daily = watch.batching == "daily"
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
    actor = Actor(f"watch {watch.id} ({watch.name})")
    request = {field: getattr(watch, field) for field in BatchRequest.model_fields}
    request["name"] = f"{watch.name} {now:%Y-%m-%d}" if daily else f"{watch.name} {now:%Y-%m-%d %H:%M:%S}"
    batch = batches.create(
        connection,
        request,
        partition_name=clean_name(request["name"]),
        created_by=actor.name,
        watch_id=watch.id,
        open_until=midnight if daily else None,
    )
    audit.record(
        connection,
        actor,
        "batch.create",
        batch_id=batch.id,
        details={"name": batch.name, "source_path": batch.source_path, "watch_id": watch.id},
    )
    return batch.id
