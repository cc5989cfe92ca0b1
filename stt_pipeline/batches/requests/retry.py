"""Retries of a batch's failed files: all of them, or those of one error class.

Millions of files take minutes. ``request_retry`` returns at once, and the dispatcher calls ``process_retries``.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import get_args

from sqlalchemy import Connection

from stt_pipeline.errors import ConflictError, ErrorClass, InvalidRequestError
from stt_pipeline.store.access import audit
from stt_pipeline.store.access.audit import NOBODY, Actor
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.queue import batch_stats, batches, shards, transitions
from stt_pipeline.store.queue.batches import Batch

_SHARDS_AT_A_TIME = 100  # in one transaction


def request_retry(
    database: Database, batch_id: int, *, error_class: str | None = None, actor: Actor = NOBODY
) -> tuple[Batch, int]:
    """Request that the dispatcher retries the failed files of a batch as :func:`retry` does, and return at once.

    The batch is processing again, and does not complete before the dispatcher has processed the retry.

    Returns:
        The batch, and the number of its failed files, or of those of the class.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: the batch's status does not allow it, no file failed, or another retry is in progress.
        InvalidRequestError: there is no such error class.
    """
    _require_class(error_class)
    with database.begin() as connection:
        transitions.check(connection, batch_id, "retried")
        sums = batch_stats.sums(connection, batch_id)
        by_class = Counter(sums.failures_by_class) + Counter(email=sums.undelivered)
        failed = by_class[error_class] if error_class else by_class.total()
        if not failed:
            raise ConflictError(f"Batch {batch_id} has no failed file{_of(error_class)} to retry.")
        if batch_id in {waiting for waiting, _, _ in batches.pending_retries(connection)}:
            raise ConflictError(
                f"A retry of batch {batch_id} is in progress already: wait until its files have started."
            )
        batches.request_retry(connection, batch_id, error_class)
        transitions.reopen(connection, batch_id)
        audit.record(
            connection, actor, "batch.retry", batch_id=batch_id, details={"error_class": error_class}
        )
        return batches.get(connection, batch_id), failed


def process_retries(database: Database, *, max_file_bytes: int, seconds: float) -> int:
    """Retry the files of requested retries for about ``seconds``, and return the number of files.

    It may be killed at any point and called again. Batches that were cancelled or deleted meanwhile are skipped.
    """
    started, end = 0, time.monotonic() + seconds
    with database.begin() as connection:
        waiting = batches.pending_retries(connection)
    for batch_id, error_class, last in waiting:
        after: int | None = last
        while after is not None and time.monotonic() < end:
            with database.begin() as connection:
                try:
                    transitions.check(connection, batch_id, "retried")
                except InvalidRequestError:
                    retried, after = 0, None
                else:
                    retried, after = _retry_shards(
                        connection, batch_id, after, error_class=error_class, max_file_bytes=max_file_bytes
                    )
                batches.save_retry_position(connection, batch_id, after)
            started += retried
    return started


def retry(
    database: Database,
    batch_id: int,
    *,
    max_file_bytes: int,
    error_class: str | None = None,
    actor: Actor = NOBODY,
) -> int:
    """Retry the failed files of a batch, all or those of one error class, and return the number of files.

    Files with a transcript continue from there. Files that failed as ``too_large`` are retried only if they are within
    ``max_file_bytes`` now. It may be killed at any point and called again.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: the batch's status does not allow it, or there is no file to retry.
        InvalidRequestError: there is no such error class.
    """
    _require_class(error_class)
    started = reopen_failed(
        database,
        batch_id,
        error_class=error_class,
        max_file_bytes=max_file_bytes,
        allowed=lambda connection: transitions.check(connection, batch_id, "retried"),
    )
    if started == 0:
        with database.begin() as connection:
            too_large = batch_stats.sums(connection, batch_id).failures_by_class.get("too_large")
        within = " within STT_MAX_FILE_BYTES" if too_large and error_class in (None, "too_large") else ""
        raise ConflictError(f"Batch {batch_id} has no failed file{_of(error_class)}{within} to retry.")
    with database.begin() as connection:
        details = {"error_class": error_class, "files": started}
        audit.record(connection, actor, "batch.retry", batch_id=batch_id, details=details)
    return started


def reopen_failed(
    database: Database,
    batch_id: int,
    *,
    error_class: str | None,
    max_file_bytes: int,
    allowed: Callable[[Connection], object],
) -> int:
    """Retry failed files as :func:`retry` does, and return their number, which may be 0.

    Args:
        allowed: called in every transaction; raises if the batch may not be changed.
    """
    started = 0
    last: int | None = -1
    while last is not None:
        with database.begin() as connection:
            allowed(connection)
            retried, last = _retry_shards(
                connection, batch_id, last, error_class=error_class, max_file_bytes=max_file_bytes
            )
        started += retried
    return started


def _retry_shards(
    connection: Connection, batch_id: int, last: int, *, error_class: str | None, max_file_bytes: int
) -> tuple[int, int | None]:
    """Retry failed files of the next shards after number ``last``; return their number, and the last shard or None."""
    found = shards.with_failures(connection, batch_id, last, _SHARDS_AT_A_TIME)
    if not found:
        return 0, None
    retried = files.reopen(
        connection, [shard.id for shard in found], error_class=error_class, max_file_bytes=max_file_bytes
    )
    if retried:
        shards.open_again(connection, list(retried))
        transitions.reopen(connection, batch_id)
    return sum(retried.values()), found[-1].number


def _require_class(error_class: str | None) -> None:
    if error_class is not None and error_class not in get_args(ErrorClass):
        raise InvalidRequestError(
            f"There is no error class {error_class!r}. The classes are {', '.join(get_args(ErrorClass))}."
        )


def _of(error_class: str | None) -> str:
    return f" of class {error_class}" if error_class else ""
