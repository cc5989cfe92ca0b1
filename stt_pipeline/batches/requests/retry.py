"""New starts for a batch's failed files, its dead letters: all of them, or those of one class.

Millions of files take minutes: who cannot wait asks for a retry (``ask``), and the dispatcher works it off.
"""

import time
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


def ask(
    database: Database, batch_id: int, *, error_class: str | None = None, actor: Actor = NOBODY
) -> tuple[Batch, int]:
    """Have the dispatcher give the failed files of a batch a new start, as :func:`retry` does; return at once.

    From now on the batch is at work again, and does not end before the dispatcher has been through its files.

    Returns:
        The batch, and how many failed files it has, or has of the class.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: its status does not allow it, no file failed, or another retry is being worked off.
        InvalidRequestError: there is no such class.
    """
    _require_class(error_class)
    with database.begin() as connection:
        transitions.check(connection, batch_id, "retried")
        by_class = batch_stats.sums(connection, batch_id).failures_by_class
        failed = by_class.get(error_class, 0) if error_class else sum(by_class.values())
        if not failed:
            raise ConflictError(f"Batch {batch_id} has no failed file{_of(error_class)} to retry.")
        if batch_id in {waiting for waiting, _, _ in batches.pending_retries(connection)}:
            raise ConflictError(
                f"Batch {batch_id} is being retried already: its files start one after the other."
            )
        batches.request_retry(connection, batch_id, error_class)
        transitions.reopen(connection, batch_id)
        audit.record(
            connection, actor, "batch.retry", batch_id=batch_id, details={"error_class": error_class}
        )
        return batches.get(connection, batch_id), failed


def work_off(database: Database, *, max_file_bytes: int, seconds: float) -> int:
    """Start files that somebody asked to be retried, for about so many seconds; return how many.

    It may die anywhere and be called again. A batch that was cancelled or deleted meanwhile is left alone.
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
                    again, after = 0, None
                else:
                    again, after = _start_some(
                        connection, batch_id, after, error_class=error_class, max_file_bytes=max_file_bytes
                    )
                batches.save_retry_position(connection, batch_id, after)
            started += again
    return started


def retry(
    database: Database,
    batch_id: int,
    *,
    max_file_bytes: int,
    error_class: str | None = None,
    actor: Actor = NOBODY,
) -> int:
    """Give the failed files of a batch a new start, all or those of one class, and return how many.

    Files that have a transcript go on from there. Those that failed as ``too_large`` start only if they are within
    ``max_file_bytes`` by now. It may die half way and be called again.

    Raises:
        InvalidRequestError: there is no such batch or class, its status does not allow it, or no file is to be started.
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
    """Give failed files a new start as ``retry`` does, and return how many; none is fine.

    Args:
        allowed: raises where it may not be done; asked in every transaction.
    """
    started = 0
    last: int | None = -1
    while last is not None:
        with database.begin() as connection:
            allowed(connection)
            again, last = _start_some(
                connection, batch_id, last, error_class=error_class, max_file_bytes=max_file_bytes
            )
        started += again
    return started


def _start_some(
    connection: Connection, batch_id: int, last: int, *, error_class: str | None, max_file_bytes: int
) -> tuple[int, int | None]:
    """Start failed files of the next shards behind number ``last``; return how many, and the last shard or None."""
    found = shards.with_failures(connection, batch_id, last, _SHARDS_AT_A_TIME)
    if not found:
        return 0, None
    again = files.reopen(
        connection, [shard.id for shard in found], error_class=error_class, max_file_bytes=max_file_bytes
    )
    if again:
        shards.open_again(connection, list(again))
        transitions.reopen(connection, batch_id)
    return sum(again.values()), found[-1].number


def _require_class(error_class: str | None) -> None:
    if error_class is not None and error_class not in get_args(ErrorClass):
        raise InvalidRequestError(
            f"There is no error class {error_class!r}. The classes are {', '.join(get_args(ErrorClass))}."
        )


def _of(error_class: str | None) -> str:
    return f" of class {error_class}" if error_class else ""
