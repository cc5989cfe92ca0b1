"""What arrives at a watched source, on its way into a batch: the day's one, or a new one.

Listings and queues both end here, and may tell of the same object any number of times, in any order: a watch takes in each
content (uri and etag) once, as its files in the manifest say.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from stt_pipeline.audio.sources import SourceObject
from stt_pipeline.batches.execution.batch_claim import BatchClaim, claim, held
from stt_pipeline.batches.ingest.scan import AddPartitions, begin_intake, list_new, take_in
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.settings import Settings
from stt_pipeline.store.access import audit
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.manifest.watches import Watch
from stt_pipeline.store.queue import batches


@dataclass(frozen=True, slots=True)
class Intake:
    """How arrivals become files of batches.

    Attributes:
        add_partitions: makes shard keys known to Dagster.
        max_file_bytes: larger files are in the manifest as failed, and are never read.
        timezone: in which a day begins and ends.
    """

    add_partitions: AddPartitions
    max_file_bytes: int
    lease_seconds: int
    timezone: ZoneInfo

    @classmethod
    def of(cls, settings: Settings, add_partitions: AddPartitions) -> "Intake":
        """Return what the settings say."""
        return cls(
            add_partitions, settings.max_file_bytes, settings.lease_seconds, ZoneInfo(settings.timezone)
        )


@dataclass(frozen=True, slots=True)
class Arrived:
    """What was new: so many files, now in this batch; no batch without a file."""

    files: int = 0
    batch_id: int | None = None


def arrive(database: Database, watch: Watch, objects: Iterable[SourceObject], intake: Intake) -> Arrived:
    """Put the objects that the watch does not know yet into its batch; objects older than the watch wants are passed over.

    It may die anywhere and be called again: the files are known then, and the dispatcher scans what was begun.

    Raises:
        ConflictError: another run has the day's batch in hand; to be tried again. Nothing was written.
        NotFoundError: the watch was removed meanwhile.
    """
    # each once: what is told twice would be cut into shards twice, of which one would be empty
    wanted = {
        (found.uri, found.etag): found
        for found in objects
        if watch.since is None or found.modified_at >= watch.since
    }
    with database.scratch() as connection:
        new, _ = list_new(connection, wanted.values(), batch_id=None, watch_id=watch.id)
        if not new:
            return Arrived()
        work = _claimed(database, watch, intake)
        with held(work, intake.lease_seconds):
            begin_intake(work)
            taken = take_in(
                work, connection, add_partitions=intake.add_partitions, max_file_bytes=intake.max_file_bytes
            )
    return Arrived(taken.new_files, work.batch.id)


def _claimed(database: Database, watch: Watch, intake: Intake) -> BatchClaim:
    """Claim the watch's open batch, or a new one, which nobody else sees before."""
    with database.begin() as connection:
        watches.get(connection, watch.id, lock=True)
        batch_id = watches.open_batch(connection, watch.id) if watch.batching == "daily" else None
        if batch_id is None:
            batch_id = _begin_batch(connection, watch, datetime.now(intake.timezone))
        return claim(
            database,
            connection,
            batch_id,
            # a run's id is nobody else's: another process may look at the same watch
            run_id=f"watch {watch.id} ({uuid.uuid4().hex[:8]})",
            token=None,
            lease_seconds=intake.lease_seconds,
        )


def _begin_batch(connection: Connection, watch: Watch, now: datetime) -> int:
    daily = watch.batching == "daily"
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
    request = {field: getattr(watch, field) for field in BatchRequest.model_fields}
    request["name"] = f"{watch.name} {now:%Y-%m-%d}" if daily else f"{watch.name} {now:%Y-%m-%d %H:%M:%S}"
    batch = batches.create(
        connection,
        request,
        created_by=f"watch {watch.id} ({watch.name})",
        watch_id=watch.id,
        open_until=midnight if daily else None,
    )
    audit.record(
        connection,
        Actor(f"watch {watch.id} ({watch.name})"),
        "batch.create",
        batch_id=batch.id,
        details={"name": batch.name, "source_path": batch.source_path, "watch_id": watch.id},
    )
    return batch.id
