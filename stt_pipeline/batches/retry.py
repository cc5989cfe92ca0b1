"""New starts for a batch's failed files, its dead letters: all of them, or those of one class."""

from collections.abc import Callable
from typing import get_args

from sqlalchemy import Connection

from stt_pipeline.errors import ErrorClass, InvalidRequestError
from stt_pipeline.store import batches, counters, files, shards
from stt_pipeline.store.database import Database

_SHARDS_AT_A_TIME = 100  # in one transaction


def retry(database: Database, batch_id: int, *, max_file_bytes: int, error_class: str | None = None) -> int:
    """Give the failed files of a batch a new start, all or those of one class, and return how many.

    Files that have a transcript go on from there. Those that failed as ``too_large`` start only if they are within
    ``max_file_bytes`` by now. It may die half way and be called again.

    Raises:
        InvalidRequestError: there is no such batch or class, its status does not allow it, or no file is to be started.
    """
    if error_class is not None and error_class not in get_args(ErrorClass):
        raise InvalidRequestError(
            f"There is no error class {error_class!r}. The classes are {', '.join(get_args(ErrorClass))}."
        )
    started = reopen_failed(
        database,
        batch_id,
        error_class=error_class,
        max_file_bytes=max_file_bytes,
        allowed=lambda connection: batches.check(connection, batch_id, "retried"),
    )
    if started == 0:
        of_class = f" of class {error_class}" if error_class else ""
        with database.begin() as connection:
            too_large = counters.sums(connection, batch_id).failures_by_class.get("too_large")
        within = " within STT_MAX_FILE_BYTES" if too_large and error_class in (None, "too_large") else ""
        raise InvalidRequestError(f"Batch {batch_id} has no failed file{of_class}{within} to retry.")
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
    started, last = 0, -1
    while True:
        with database.begin() as connection:
            allowed(connection)
            found = shards.with_failures(connection, batch_id, last, _SHARDS_AT_A_TIME)
            if not found:
                return started
            again = files.reopen(
                connection,
                [shard.id for shard in found],
                error_class=error_class,
                max_file_bytes=max_file_bytes,
            )
            if again:
                shards.open_again(connection, list(again))
                batches.reopen(connection, batch_id)
        started += sum(again.values())
        last = found[-1].number
