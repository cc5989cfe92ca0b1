"""Scans a batch's source: lists it into the manifest, cuts shards and adds them to Dagster as partitions.

New files of a watch take the same path, a few at a time (``objects``).

The listing streams into a temporary table; only then is the number of files known, which decides the size of shards. A scan
may be killed at any point and run again: files and their shard are written in one transaction, files are unique by (uri,
etag), shards by number, and the next scan registers partitions that are missing.
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
from stt_pipeline.store.queue import batch_stats, batches, locks, partitions, shards, transitions
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline.store.results import transcriptions

# up to this number of files, each file is a shard, which can be browsed and run again in the UI
ONE_FILE_SHARDS = 1_000
MAX_SHARDS = 10_000
MIN_FILES_PER_SHARD = 100
# 37 hours of uncompressed telephone audio, or 150 of MP3: a few hours of a GPU at most
MIN_BYTES_PER_SHARD = 4 << 30
_ROWS_AT_A_TIME = 50_000  # of one transaction, which locks the batch's row for about a second
# psycopg sends at most 65,535 parameters, and Dagster uses two a key
_PARTITION_KEYS = 10_000

AddPartitions = Callable[[Sequence[str]], None]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ScanResult:
    """The result of a scan.

    Attributes:
        total_files: files of the batch in the manifest.
        new_files: files that this scan added.
        new_shards: shards that this scan added.
        error: the reason why no file was added; None if the scan worked.
        in_progress_count: files that were skipped because they are still being written.
    """

    total_files: int
    new_files: int
    new_shards: int
    error: str | None = None
    in_progress_count: int = 0


def files_per_shard(total_files: int) -> int:
    """Return the number of files of a shard in a batch of ``total_files``."""
    if total_files <= ONE_FILE_SHARDS:
        return 1
    return max(MIN_FILES_PER_SHARD, ceil(total_files / MAX_SHARDS))


def bytes_per_shard(total_bytes: int) -> int:
    """Return the largest size of a shard in bytes, for new files of ``total_bytes``; a shard of one file may be larger.

    It is twice the average or more, so shards of similar files are rarely cut by size.
    """
    return max(MIN_BYTES_PER_SHARD, 2 * ceil(total_bytes / MAX_SHARDS))


def scan_batch(
    claim: BatchClaim,
    *,
    add_partitions: AddPartitions,
    max_file_bytes: int,
    open_source: OpenSource = open_source,
) -> ScanResult:
    """Scan the batch's source, and make new files ready for dispatch.

    If the source cannot be listed, or has no matching file, a new batch fails; a batch with files continues with these.

    Args:
        add_partitions: adds shard keys to Dagster, in this order, after those that it has.
        max_file_bytes: larger files are failed in the manifest, and are never read.
        open_source: returns the source of an address and a pattern.
    """
    batch = claim.batch
    before = start_scan(claim)
    with claim.database.scratch() as connection:
        try:
            source = None
            # a watch adds its files itself: here, only a poll that was interrupted is finished
            if batch.watch_id is None:
                source = open_source(batch.source_path, batch.file_pattern or DEFAULT_PATTERN)
            objects = source.list_objects(wait=True) if source else ()
            new, _ = stage_new_files(connection, objects, batch_id=batch.id, watch_id=batch.watch_id)
            in_progress_count = source.in_progress_count if source else 0
        except InvalidRequestError as error:
            return _end_without_files(claim, before, str(error))
        if before + new == 0:
            return _end_without_files(claim, 0, _no_files(batch, in_progress_count), in_progress_count)
        # the limit may have been lower at an earlier scan
        reopen_failed(
            claim.database,
            batch.id,
            error_class="too_large",
            max_file_bytes=max_file_bytes,
            allowed=claim.verify,
        )
        result = add_staged_files(
            claim, connection, add_partitions=add_partitions, max_file_bytes=max_file_bytes
        )
    return replace(result, in_progress_count=in_progress_count)


def start_scan(claim: BatchClaim) -> int:
    """Mark the batch as being scanned, and return its number of files."""
    with claim.database.begin() as connection:
        claim.verify(connection)
        transitions.start_scan(connection, claim.batch.id)
        transcriptions.ensure_months(connection)
        return batch_stats.sums(connection, claim.batch.id).total


def stage_new_files(
    connection: Connection, objects: Iterable[SourceObject], *, batch_id: int | None, watch_id: int | None
) -> tuple[int, int]:
    """Stream objects into the temporary table of ``connection``, and keep those that are not in the manifest.

    Other connections cannot see the table, so no lease is needed yet. An object is not new if a batch of the watch has it
    or, without a watch, if the batch has it.

    Returns:
        Number and bytes of the new files.
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


def add_staged_files(
    claim: BatchClaim, connection: Connection, *, add_partitions: AddPartitions, max_file_bytes: int
) -> ScanResult:
    """Add the files in the temporary table of ``connection`` to the batch, and make them ready for dispatch."""
    database, batch = claim.database, claim.batch
    with connection.begin():
        claim.verify(connection)
        before = batch_stats.sums(connection, batch.id).total
        new, new_bytes = staging.count(connection)
        per_shard = max(batch.files_per_shard or 1, files_per_shard(before + new))
        batches.set_files_per_shard(connection, batch.id, per_shard)
    added = _cut_shards(claim, connection, per_shard, bytes_per_shard(new_bytes), max_file_bytes)
    _register_partitions(database, batch, add_partitions)
    with database.begin() as transaction:
        claim.verify(transaction)
        total = batch_stats.sums(transaction, batch.id).total
        transitions.finish_scan(transaction, batch.id, total)
    return ScanResult(total, total - before, added)


def _no_files(batch: Batch, in_progress_count: int) -> str:
    if batch.watch_id is not None:
        return "The poll that created this batch was interrupted; its files come with the watch's next batch."
    pattern = batch.file_pattern or "any known audio or video ending"
    if in_progress_count:
        return (
            f"{batch.source_path} has only files that are still being written ({in_progress_count} match {pattern}): wait "
            "until they are complete, and scan it again."
        )
    return f"{batch.source_path} has no file that matches {pattern}: check the source and the pattern."


def _end_without_files(claim: BatchClaim, before: int, error: str, in_progress_count: int = 0) -> ScanResult:
    with claim.database.begin() as connection:
        claim.verify(connection)
        if before:
            transitions.fail_scan(connection, claim.batch.id, error)
        else:
            transitions.fail(connection, claim.batch.id, error)
    return ScanResult(before, 0, 0, error, in_progress_count)


def _cut_shards(
    claim: BatchClaim, connection: Connection, per_shard: int, shard_bytes: int, max_file_bytes: int
) -> int:
    """Write the temporary table into the manifest, shard by shard in order, and return the number of new shards."""
    batch = claim.batch
    added = 0
    for slices in _in_transactions(_slices(_sizes(connection), per_shard, shard_bytes)):
        with connection.begin():
            claim.verify(connection)
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
    """Yield (place, bytes) of the temporary table in order, without an open transaction between pages."""
    last = -1
    while True:
        with connection.begin():
            rows = staging.page(connection, last, _ROWS_AT_A_TIME)
        if not rows:
            return
        yield from rows
        last = rows[-1][0]


def _slices(sizes: Iterable[tuple[int, int]], per_shard: int, shard_bytes: int) -> Iterator[Slice]:
    """Cut (place, bytes) of objects in order, where the next object would exceed the number of files or bytes."""
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
    """Group slices into transactions of about ``_ROWS_AT_A_TIME`` files."""
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


def _register_partitions(database: Database, batch: Batch, add_partitions: AddPartitions) -> None:
    """Add the partitions of new shards. One scan at a time does so, so that a batch's shards are a contiguous range."""
    with database.scratch() as lock:
        locks.lock_partitions(lock)
        with database.begin() as connection:
            keys = partitions.unregistered_keys(connection, batch.id)
        for chunk in _chunks(keys, _PARTITION_KEYS):
            add_partitions(chunk)
            with database.begin() as connection:
                partitions.mark_registered(connection, chunk)


def _chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
