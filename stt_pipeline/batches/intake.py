"""Intake: lists a batch's source into the manifest, cuts shards and makes them known as partitions.

It may be killed at any point and run again: files are unique by (uri, etag), shards by number, and what is not
registered yet is registered the next time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from typing import TypeVar

from stt_pipeline.audio.patterns import DEFAULT_PATTERN
from stt_pipeline.audio.sources import open_source
from stt_pipeline.audio.uris import display_name
from stt_pipeline.batches.batch_work import BatchWork
from stt_pipeline.batches.keys import shard_key
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.store import batches, files, shards, transcriptions
from stt_pipeline.store.batches import Batch
from stt_pipeline.store.database import Database

ONE_FILE_SHARDS = (
    1_000  # up to so many files, each is a shard of its own, browsable and re-runnable in the UI
)
MAX_SHARDS = 10_000
MIN_FILES_PER_SHARD = 100
_COPY_ROWS = 50_000
# psycopg sends at most 65,535 parameters, and Dagster uses two for each key
_PARTITION_KEYS = 10_000

AddPartitions = Callable[[Sequence[str]], None]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class IntakeResult:
    """What a scan found: files in the manifest now, how many of them are new, and the shards that were added."""

    total_files: int
    new_files: int
    new_shards: int
    error: str | None = None


def files_per_shard(total_files: int) -> int:
    """Return how many files a shard gets in a batch of ``total_files``."""
    if total_files <= ONE_FILE_SHARDS:
        return 1
    return max(MIN_FILES_PER_SHARD, ceil(total_files / MAX_SHARDS))


def run_intake(work: BatchWork, *, add_partitions: AddPartitions, max_file_bytes: int) -> IntakeResult:
    """Scan the batch's source, and open what is new for work.

    Args:
        add_partitions: makes shard keys known to Dagster, in this order, behind those it knows.
        max_file_bytes: larger files are in the manifest as failed, and are never read.

    Returns:
        What was found; ``error`` says why nothing was. A source that cannot be listed, or has no matching file, ends a
        new batch as failed, while one that has files already goes on with them.
    """
    database, batch = work.database, work.batch
    with database.begin() as connection:
        work.prove(connection)
        batches.start_scan(connection, batch.id)
        transcriptions.ensure_months(connection)
        before = files.total(connection, batch.id)
    try:
        source = open_source(batch.source_path, batch.file_pattern or DEFAULT_PATTERN)
        for chunk in _chunks(source.list_objects(), _COPY_ROWS):
            with database.begin() as connection:
                work.prove(connection)
                files.add(connection, batch.id, ((found.uri, found.size, found.etag) for found in chunk))
    except InvalidRequestError as error:
        return _nothing_found(work, before, str(error))
    with database.begin() as connection:
        work.prove(connection)
        for shard_id in files.reject_too_large(connection, batch.id, max_file_bytes):
            shards.open_again(connection, shard_id, "transcribe")
            shards.count_files(connection, [shard_id])
        total = files.total(connection, batch.id)
    if total == 0:
        pattern = batch.file_pattern or "any known audio or video ending"
        reason = f"{batch.source_path} has no file that matches {pattern}: check the source and the pattern."
        return _nothing_found(work, before, reason)
    per_shard = batch.files_per_shard or files_per_shard(total)
    added = _cut_shards(work, per_shard)
    _register(database, batch, add_partitions)
    with database.begin() as connection:
        work.prove(connection)
        batches.finish_scan(connection, batch.id, total, per_shard)
    return IntakeResult(total, total - before, added)


def _nothing_found(work: BatchWork, before: int, error: str) -> IntakeResult:
    with work.database.begin() as connection:
        work.prove(connection)
        if before:
            batches.give_up_scan(connection, work.batch.id, error)
        else:
            batches.fail(connection, work.batch.id, error)
    return IntakeResult(before, 0, 0, error)


def _cut_shards(work: BatchWork, per_shard: int) -> int:
    """Group the files that have no shard yet, in order of intake, and return how many shards that made."""
    batch = work.batch
    added = 0
    while True:
        with work.database.begin() as connection:
            work.prove(connection)
            loose = files.without_shard(connection, batch.id, per_shard * max(1, _COPY_ROWS // per_shard))
            if not loose:
                return added
            first = shards.next_number(connection, batch.id)
            groups = list(enumerate(_chunks(loose, per_shard), start=first))
            ids = shards.add(
                connection,
                batch.id,
                (
                    (number, shard_key(batch.id, number, _name_in_key(group, per_shard)), len(group))
                    for number, group in groups
                ),
            )
            files.put_into_shards(
                connection, [(file_id, ids[number]) for number, group in groups for file_id, _ in group]
            )
            shards.count_files(connection, [ids[number] for number, _ in groups])
            added += len(groups)


def _name_in_key(group: Sequence[tuple[int, str]], per_shard: int) -> str | None:
    return display_name(group[0][1]) if per_shard == 1 else None


def _register(database: Database, batch: Batch, add_partitions: AddPartitions) -> None:
    """Add the partitions of new shards, while no other intake does, so that a batch's shards stay together."""
    with database.connect() as lock:
        batches.lock_intake(lock)
        try:
            with database.begin() as connection:
                keys = shards.unregistered_keys(connection, batch.id)
            for chunk in _chunks(keys, _PARTITION_KEYS):
                add_partitions(chunk)
                with database.begin() as connection:
                    shards.mark_registered(connection, chunk)
        finally:
            batches.unlock_intake(lock)


def _chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
