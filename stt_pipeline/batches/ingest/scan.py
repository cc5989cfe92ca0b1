"""Intake: lists a batch's source into the manifest, cuts shards and makes them known as partitions.

What arrives at a watch takes the same way, a few files at a time (``arrivals``).

The listing streams into a temporary table; only then is the number of files known, on which the size of shards
depends. It may be killed at any point and run again: files and their shard are written together, files are unique by
(uri, etag), shards by number, and what is not registered yet is registered the next time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import ceil
from typing import TypeVar

from sqlalchemy import Connection

from stt_pipeline.audio.address import display_name
from stt_pipeline.audio.opening import open_source
from stt_pipeline.audio.patterns import DEFAULT_PATTERN
from stt_pipeline.audio.sources import OpenSource, SourceObject
from stt_pipeline.batches.execution.batch_claim import BatchClaim
from stt_pipeline.batches.keys import ShardKey
from stt_pipeline.batches.requests.retry import reopen_failed
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import staging
from stt_pipeline.store.manifest.staging import Slice
from stt_pipeline.store.queue import batch_stats, batches, shards, transitions
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline.store.results import transcriptions

# up to so many files, each is a shard of its own, browsable and re-runnable in the UI
ONE_FILE_SHARDS = 1_000
MAX_SHARDS = 10_000
MIN_FILES_PER_SHARD = 100
# 37 hours of uncompressed telephone sound, or 150 of MP3: a few hours of a GPU at most
MIN_BYTES_PER_SHARD = 4 << 30
_ROWS_AT_A_TIME = 50_000  # in one transaction, which keeps the batch's row locked for about a second
# psycopg sends at most 65,535 parameters, and Dagster uses two for each key
_PARTITION_KEYS = 10_000

AddPartitions = Callable[[Sequence[str]], None]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class IntakeResult:
    """What a scan found.

    Attributes:
        total_files: in the manifest now.
        new_files: how many of them are new.
        new_shards: how many shards were added for them.
        error: why nothing was found.
        unsettled: files that were left out because they are still being written.
    """

    total_files: int
    new_files: int
    new_shards: int
    error: str | None = None
    in_progress_count: int = 0


def files_per_shard(total_files: int) -> int:
    """Return how many files a shard gets in a batch of ``total_files``."""
    if total_files <= ONE_FILE_SHARDS:
        return 1
    return max(MIN_FILES_PER_SHARD, ceil(total_files / MAX_SHARDS))


def bytes_per_shard(total_bytes: int) -> int:
    """Return how large the files of a shard may be together, unless it is a single file, where new ones sum up to so much.

    Cuts by size are rare where files are alike: a shard may be twice the average.
    """
    return max(MIN_BYTES_PER_SHARD, 2 * ceil(total_bytes / MAX_SHARDS))


def run_intake(
    work: BatchClaim,
    *,
    add_partitions: AddPartitions,
    max_file_bytes: int,
    open_source: OpenSource = open_source,
) -> IntakeResult:
    """Scan the batch's source, and open what is new for work.

    Args:
        add_partitions: makes shard keys known to Dagster, in this order, behind those it knows.
        max_file_bytes: larger files are in the manifest as failed, and are never read.
        open_source: gives the source for an address and a pattern.

    Returns:
        What was found; ``error`` says why nothing was. A source that cannot be listed, or has no matching file, ends a
        new batch as failed, while one that has files already goes on with them.
    """
    batch = work.batch
    before = begin_intake(work)
    with work.database.scratch() as connection:
        try:
            source = None
            # files of a watch come by the watch alone: here, only what a look left half done is finished
            if batch.watch_id is None:
                source = open_source(batch.source_path, batch.file_pattern or DEFAULT_PATTERN)
            objects = source.list_objects(wait=True) if source else ()
            new, _ = list_new(connection, objects, batch_id=batch.id, watch_id=batch.watch_id)
            in_progress_count = source.in_progress_count if source else 0
        except InvalidRequestError as error:
            return _nothing_found(work, before, str(error))
        if before + new == 0:
            return _nothing_found(work, 0, _no_files(batch, in_progress_count), in_progress_count)
        # an earlier scan may have had a lower limit
        reopen_failed(
            work.database,
            batch.id,
            error_class="too_large",
            max_file_bytes=max_file_bytes,
            allowed=work.verify,
        )
        result = take_in(work, connection, add_partitions=add_partitions, max_file_bytes=max_file_bytes)
    return replace(result, in_progress_count=in_progress_count)


def begin_intake(work: BatchClaim) -> int:
    """Mark that files are on their way into a batch, and return how many it has."""
    with work.database.begin() as connection:
        work.verify(connection)
        transitions.start_scan(connection, work.batch.id)
        transcriptions.ensure_months(connection)
        return batch_stats.sums(connection, work.batch.id).total


def list_new(
    connection: Connection, objects: Iterable[SourceObject], *, batch_id: int | None, watch_id: int | None
) -> tuple[int, int]:
    """Stream objects into the listing of ``connection``, leave what the manifest has not, and return (files, bytes) of it.

    The temporary table is nobody else's, so no lease is needed yet. What is known is known to all batches of a watch,
    or else to the batch.
    """
    with connection.begin():
        staging.begin(connection)
    place = 0
    for chunk in _chunks(objects, _ROWS_AT_A_TIME):
        with connection.begin():
            staging.add(connection, place, chunk)
        place += len(chunk)
    with connection.begin():
        staging.drop_known(connection, batch_id, watch_id)
        return staging.count(connection)


def take_in(
    work: BatchClaim, connection: Connection, *, add_partitions: AddPartitions, max_file_bytes: int
) -> IntakeResult:
    """Put what the listing of ``connection`` holds into the batch, and open it for work."""
    database, batch = work.database, work.batch
    with connection.begin():
        work.verify(connection)
        before = batch_stats.sums(connection, batch.id).total
        new, new_bytes = staging.count(connection)
        per_shard = max(batch.files_per_shard or 1, files_per_shard(before + new))
        batches.set_files_per_shard(connection, batch.id, per_shard)
    added = _cut_shards(work, connection, per_shard, bytes_per_shard(new_bytes), max_file_bytes)
    _register(database, batch, add_partitions)
    with database.begin() as transaction:
        work.verify(transaction)
        total = batch_stats.sums(transaction, batch.id).total
        transitions.finish_scan(transaction, batch.id, total)
    return IntakeResult(total, total - before, added)


def _no_files(batch: Batch, in_progress_count: int) -> str:
    if batch.watch_id is not None:
        return (
            "The look that began this batch was interrupted; what it found comes with the watch's next batch."
        )
    pattern = batch.file_pattern or "any known audio or video ending"
    if in_progress_count:
        return (
            f"{batch.source_path} has only files that are still being written ({in_progress_count} that match {pattern}): wait "
            "until they are complete and scan it again."
        )
    return f"{batch.source_path} has no file that matches {pattern}: check the source and the pattern."


def _nothing_found(work: BatchClaim, before: int, error: str, in_progress_count: int = 0) -> IntakeResult:
    with work.database.begin() as connection:
        work.verify(connection)
        if before:
            transitions.give_up_scan(connection, work.batch.id, error)
        else:
            transitions.fail(connection, work.batch.id, error)
    return IntakeResult(before, 0, 0, error, in_progress_count)


def _cut_shards(
    work: BatchClaim, connection: Connection, per_shard: int, shard_bytes: int, max_file_bytes: int
) -> int:
    """Write the listing into the manifest, shard by shard in order, and return how many shards that made."""
    batch = work.batch
    added = 0
    for slices in _in_transactions(_slices(_sizes(connection), per_shard, shard_bytes)):
        with connection.begin():
            work.verify(connection)
            first = shards.next_number(connection, batch.id)
            names = (
                {
                    place: display_name(uri)
                    for place, uri in staging.uris(connection, [s.first for s in slices]).items()
                }
                if per_shard == 1
                else {}
            )
            numbered = list(enumerate(slices, start=first))
            ids = shards.add(
                connection,
                batch.id,
                [
                    (number, str(ShardKey(batch.id, number, names.get(part.first))))
                    for number, part in numbered
                ],
            )
            staging.put_into_manifest(
                connection,
                batch.id,
                batch.watch_id,
                [(ids[number], part) for number, part in numbered],
                max_file_bytes=max_file_bytes,
            )
            added += len(slices)
    return added


def _sizes(connection: Connection) -> Iterator[tuple[int, int]]:
    """Yield (place, bytes) of the listing in order, with no transaction open in between."""
    last = -1
    while True:
        with connection.begin():
            rows = staging.page(connection, last, _ROWS_AT_A_TIME)
        if not rows:
            return
        yield from rows
        last = rows[-1][0]


def _slices(sizes: Iterable[tuple[int, int]], per_shard: int, shard_bytes: int) -> Iterator[Slice]:
    """Cut objects, given in order as (place, bytes), where the next one would be too many or too much."""
    first = last = -1
    files = total = 0
    for place, size in sizes:
        if files and (files == per_shard or total + size > shard_bytes):
            yield Slice(first, last, files)
            files = total = 0
        if not files:
            first = place
        last = place
        files += 1
        total += size
    if files:
        yield Slice(first, last, files)


def _in_transactions(slices: Iterable[Slice]) -> Iterator[list[Slice]]:
    """Group slices so that a transaction stays short."""
    group: list[Slice] = []
    files = 0
    for part in slices:
        group.append(part)
        files += part.files
        if files >= _ROWS_AT_A_TIME:
            yield group
            group, files = [], 0
    if group:
        yield group


def _register(database: Database, batch: Batch, add_partitions: AddPartitions) -> None:
    """Add the partitions of new shards, while no other intake does, so that a batch's shards stay together."""
    with database.scratch() as lock:
        batches.lock_intake(lock)
        with database.begin() as connection:
            keys = shards.unregistered_keys(connection, batch.id)
        for chunk in _chunks(keys, _PARTITION_KEYS):
            add_partitions(chunk)
            with database.begin() as connection:
                shards.mark_registered(connection, chunk)


def _chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
