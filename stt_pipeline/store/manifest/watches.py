"""Queries on ``stt_watches`` and ``stt_dead_letters``: sources whose new files become batches automatically."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from stt_pipeline.errors import NotFoundError
from stt_pipeline.store.queue.batches import Priority
from stt_pipeline.store.tables import batches, dead_letters, watches

Batching = Literal["daily", "arrival"]

_CLOCKS_DIFFER = timedelta(seconds=5)
_LONGEST_BODY = 10_000  # characters of a dead letter that are kept


@dataclass(frozen=True, slots=True)
class PollCursor:
    """The position of a watch in the listing of its source, as addresses of objects; empty is the start.

    Attributes:
        look_back: where the next poll of the end of the source starts: some thousand objects before the last listed
            one, for objects that arrive late.
        sweep: the position of the sweep through the whole source.
        caught_up: whether a poll reached the end of the source.
    """

    look_back: str = ""
    sweep: str = ""
    caught_up: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """A row of ``stt_watches``.

    Attributes:
        queue_url: the SQS queue with events of new objects; empty if the source is polled instead.
        batching: one batch per day, or one per poll that finds new files.
        since: objects that were modified earlier are skipped; None accepts all.
        looked_at: time of the last poll, successful or not.
        swept_at: when the last sweep through the whole source ended.
        found_at: when a poll last found new files.
        files: number of files that the watch has added.
        error: error of the last poll; None if it succeeded.
    """

    id: int
    name: str
    source_path: str
    file_pattern: str
    queue_url: str
    batching: Batching
    priority: Priority
    notify_emails: tuple[str, ...]
    options: Mapping[str, Any]
    since: datetime | None
    created_by: str
    created_at: datetime
    cursor: PollCursor
    swept_at: datetime | None
    looked_at: datetime | None
    found_at: datetime | None
    files: int
    error: str | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A queue message that could not be parsed or processed: a row of ``stt_dead_letters``."""

    id: int
    queue_url: str
    message_id: str
    body: str
    error: str
    at: datetime


def _watch(row: Row[Any]) -> Watch:
    values = dict(row._mapping)
    cursor = PollCursor(values.pop("look_back"), values.pop("sweep"), values.pop("caught_up_at") is not None)
    return Watch(**{**values, "notify_emails": tuple(row.notify_emails), "cursor": cursor})


def create(connection: Connection, request: Mapping[str, Any], *, created_by: str) -> Watch:
    """Insert a watch.

    Args:
        request: values of a ``WatchRequest``; with ``new_only``, files that are in the source already are skipped.
    """
    values = dict(request)
    # some seconds earlier: S3 rounds times to seconds, and its clock may differ
    since = func.now() - _CLOCKS_DIFFER if values.pop("new_only") else None
    row = connection.execute(
        insert(watches).values(**values, since=since, created_by=created_by).returning(watches)
    ).one()
    return _watch(row)


def get(connection: Connection, watch_id: int, *, lock: bool = False) -> Watch:
    """Return one watch; with ``lock``, its row is locked until the end of the transaction.

    Raises:
        NotFoundError: the watch does not exist.
    """
    chosen = select(watches).where(watches.c.id == watch_id)
    row = connection.execute(chosen.with_for_update() if lock else chosen).one_or_none()
    if row is None:
        raise NotFoundError(f"Watch {watch_id} does not exist. `stt watch list` shows the watches.")
    return _watch(row)


def page(connection: Connection, limit: int, *, after: int = 0) -> list[Watch]:
    """Return the next watches with an id above ``after``, in order of id."""
    rows = connection.execute(select(watches).where(watches.c.id > after).order_by(watches.c.id).limit(limit))
    return [_watch(row) for row in rows]


def next_to_poll(connection: Connection, limit: int) -> list[Watch]:
    """Return watches whose source is polled, the longest waiting first."""
    rows = connection.execute(
        select(watches)
        .where(watches.c.queue_url == "")
        .order_by(watches.c.looked_at.asc().nulls_first(), watches.c.id)
        .limit(limit)
    )
    return [_watch(row) for row in rows]


def overdue(connection: Connection, since: datetime) -> list[Watch]:
    """Return the watches that were not polled since a time, or whose last poll failed, in order of id."""
    last = func.coalesce(watches.c.looked_at, watches.c.created_at)
    rows = connection.execute(
        select(watches).where(or_(last < since, watches.c.error.is_not(None))).order_by(watches.c.id)
    )
    return [_watch(row) for row in rows]


def of_queues(connection: Connection) -> dict[str, list[Watch]]:
    """Return the watches that consume a queue, by queue URL."""
    rows = connection.execute(select(watches).where(watches.c.queue_url != "").order_by(watches.c.id))
    found: dict[str, list[Watch]] = {}
    for row in rows:
        found.setdefault(row.queue_url, []).append(_watch(row))
    return found


def save_poll(
    connection: Connection, watch_id: int, *, cursor: PollCursor | None, found: int, swept: bool = False
) -> None:
    """Record a successful poll. ``cursor`` None keeps the stored position, as for messages of a queue."""
    values: dict[str, Any] = {"looked_at": func.now(), "error": None, "files": watches.c.files + found}
    if found:
        values["found_at"] = func.now()
    if swept:
        values["swept_at"] = func.now()
    if cursor is not None:
        caught_up = func.coalesce(watches.c.caught_up_at, func.now()) if cursor.caught_up else None
        values |= {
            "look_back": cursor.look_back,
            "sweep": cursor.sweep,
            "caught_up_at": caught_up,
        }
    connection.execute(update(watches).where(watches.c.id == watch_id).values(values))


def set_error(connection: Connection, watch_id: int, error: str) -> None:
    """Record the error of a failed poll."""
    connection.execute(
        update(watches).where(watches.c.id == watch_id).values(looked_at=func.now(), error=error[:2000])
    )


def open_batch(connection: Connection, watch_id: int) -> int | None:
    """Return the batch of the watch that accepts new files now, or None."""
    return connection.scalar(
        select(batches.c.id)
        .where(batches.c.watch_id == watch_id, batches.c.open_until > func.now())
        .where(batches.c.status.not_in(("cancelled", "deleting", "failed")))
        .order_by(batches.c.id.desc())
        .limit(1)
    )


def remove(connection: Connection, watch_id: int) -> None:
    """Delete a watch. Its batches stay, and its open batch accepts no more files."""
    connection.execute(
        update(batches)
        .where(batches.c.watch_id == watch_id, batches.c.open_until > func.now())
        .values(open_until=None)
    )
    connection.execute(delete(watches).where(watches.c.id == watch_id))


def add_dead_letter(connection: Connection, queue_url: str, message_id: str, body: str, error: str) -> None:
    """Store a message that could not be processed, before it is deleted from its queue; a duplicate is ignored."""
    connection.execute(
        upsert(dead_letters)
        .values(
            queue_url=queue_url,
            message_id=message_id,
            body=body.replace("\0", "")[:_LONGEST_BODY],
            error=error.replace("\0", "")[:2000],
        )
        .on_conflict_do_nothing()
    )


def latest_dead_letters(connection: Connection, queue_url: str, limit: int) -> list[DeadLetter]:
    """Return the newest dead letters of a queue, newest first."""
    rows = connection.execute(
        select(dead_letters)
        .where(dead_letters.c.queue_url == queue_url)
        .order_by(dead_letters.c.id.desc())
        .limit(limit)
    )
    return [DeadLetter(**row._mapping) for row in rows]


def count_dead_letters(connection: Connection, queue_url: str, most: int = 1_000) -> int:
    """Return the number of dead letters of a queue, at most ``most``."""
    found = select(dead_letters.c.id).where(dead_letters.c.queue_url == queue_url).limit(most).subquery()
    return connection.scalar(select(func.count()).select_from(found)) or 0


def latest_batches(connection: Connection, watch_id: int, limit: int) -> list[int]:
    """Return the ids of the newest batches of a watch, newest first."""
    found = (
        select(batches.c.id).where(batches.c.watch_id == watch_id).order_by(batches.c.id.desc()).limit(limit)
    )
    return list(connection.scalars(found))
