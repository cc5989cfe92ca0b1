"""Queries on ``stt_email_logs``, which prevents duplicate mails: one row per (minutes or batch, recipient), ever.

A mail is *sending* before the mail server gets it and *sent* after. A row that is still *sending* belongs to a crashed
process. It is not known whether that mail was sent, so it becomes *unconfirmed* and is not sent again. Minutes whose
recording the recipient got before, under another name or in another batch, are *repeated* and not sent.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy import ColumnElement, Connection, and_, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from stt_pipeline.store.tables import audio_files, email_logs
from stt_pipeline.store.tables.results import UNSENT

Kind = Literal["minutes", "report", "digest"]

_RECEIVED = ("sending", "sent", "unconfirmed")  # certainly or possibly


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to one recipient, as the log knows it.

    Attributes:
        kind: ``minutes`` of one recording; ``report`` of a batch, or ``digest``: a report that lists the minutes.
        summary_id: the minutes; None for a message about the batch.
        audio_file_id: the recording; None for a message about the batch.
        content_sha256: of the recording; None for a message about the batch, and for files of older versions.
        again: send the minutes even if the recipient got those of the same content.
    """

    batch_id: int
    recipient: str
    kind: Kind
    summary_id: int | None = None
    audio_file_id: int | None = None
    content_sha256: bytes | None = None
    again: bool = False


def begin(connection: Connection, delivery: Delivery) -> int | None:
    """Reserve a mail and return its log id, or None if it must not be sent.

    Concurrent calls for one recipient wait for each other's transactions, so that only one of them reserves the minutes of a
    content.
    """
    lock_recipient(connection, delivery.recipient)
    target = _target(delivery)
    connection.execute(
        update(email_logs)
        .where(target, email_logs.c.status == "sending")
        .values(
            status="unconfirmed",
            delivery_status="The process ended while it sent the mail. The mail is not sent again.",
        )
    )
    earlier = _earlier_batch(connection, delivery)
    values = {"status": "sending", "delivery_status": None, "kind": delivery.kind, "again": delivery.again}
    if earlier is not None:
        where = "this batch" if earlier == delivery.batch_id else f"batch {earlier}"
        values |= {
            "status": "repeated",
            "delivery_status": f"Not sent: the recipient got the minutes of the same recording in {where}.",
        }
    row = insert(email_logs).values(
        batch_id=delivery.batch_id,
        summary_id=delivery.summary_id,
        recipient_email=delivery.recipient,
        content_sha256=delivery.content_sha256,
        **values,
    )
    of_minutes = delivery.summary_id is not None
    reserved: int | None = connection.scalar(
        row.on_conflict_do_update(
            index_elements=["summary_id" if of_minutes else "batch_id", "recipient_email"],
            index_where=text(f"summary_id IS {'NOT ' if of_minutes else ''}NULL"),
            set_=values,
            where=email_logs.c.status.in_(("failed", "repeated")),
        ).returning(email_logs.c.id)
    )
    return reserved if earlier is None else None


def lock_recipient(connection: Connection, recipient: str) -> None:
    """Wait for other transactions that reserve mails to this recipient, and exclude them until this one ends."""
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"stt mail {recipient}", 0))))


def _target(delivery: Delivery) -> ColumnElement[bool]:
    subject = (
        email_logs.c.summary_id == delivery.summary_id
        if delivery.summary_id is not None
        else and_(email_logs.c.batch_id == delivery.batch_id, email_logs.c.summary_id.is_(None))
    )
    return and_(subject, email_logs.c.recipient_email == delivery.recipient)


def _earlier_batch(connection: Connection, delivery: Delivery) -> int | None:
    """Return the batch in which the recipient got the minutes of the same content; None if in none."""
    if delivery.content_sha256 is None or delivery.again:
        return None
    content = {delivery.content_sha256}
    by_mail = select(email_logs.c.batch_id).where(
        _mailed(content, delivery.recipient), email_logs.c.summary_id.is_distinct_from(delivery.summary_id)
    )
    by_digest = (
        select(email_logs.c.batch_id)
        .join(audio_files, audio_files.c.batch_id == email_logs.c.batch_id)
        .where(_in_digest(content, delivery.recipient), audio_files.c.id != delivery.audio_file_id)
    )
    for earlier in (by_mail, by_digest):
        found: int | None = connection.scalar(earlier.limit(1))
        if found is not None:
            return found
    return None


def _mailed(contents: Collection[bytes], recipient: str) -> ColumnElement[bool]:
    """Return the condition on ``stt_email_logs`` that a row is a mail with the minutes of one of the contents."""
    return and_(
        # of a long list, the planner does not prove that it has no NULL, as the partial index requires
        email_logs.c.content_sha256.is_not(None),
        email_logs.c.content_sha256.in_(contents),
        email_logs.c.recipient_email == recipient,
        email_logs.c.kind == "minutes",
        email_logs.c.status.in_(_RECEIVED),
    )


def _in_digest(contents: Collection[bytes], recipient: str) -> ColumnElement[bool]:
    """Return the condition on files and the log of their batch that a digest counted a file of one of the contents."""
    return and_(
        audio_files.c.content_sha256.is_not(None),
        audio_files.c.content_sha256.in_(contents),
        audio_files.c.status == "success",
        email_logs.c.recipient_email == recipient,
        email_logs.c.summary_id.is_(None),
        email_logs.c.kind == "digest",
        email_logs.c.status.in_(_RECEIVED),
    )


def received_contents(
    connection: Connection, contents: Collection[bytes], recipient: str, batch_id: int
) -> set[bytes]:
    """Return those of the contents whose minutes the recipient got by mail, or in the digest of another batch."""
    by_mail = connection.scalars(
        select(email_logs.c.content_sha256).where(_mailed(contents, recipient)).distinct()
    )
    by_digest = connection.execute(
        select(audio_files.c.content_sha256, audio_files.c.batch_id)
        .join(email_logs, audio_files.c.batch_id == email_logs.c.batch_id)
        .where(_in_digest(contents, recipient))
        .distinct()
    )
    others = (content for content, of_batch in by_digest if of_batch != batch_id)
    return {bytes(content) for content in (*by_mail, *others)}


def mailed_minutes(connection: Connection, summary_ids: Collection[int], recipient: str) -> set[int]:
    """Return those of the minutes that were mailed to the recipient, or may have been."""
    return set(
        connection.scalars(
            select(email_logs.c.summary_id).where(
                email_logs.c.summary_id.is_not(None),
                email_logs.c.summary_id.in_(summary_ids),
                email_logs.c.recipient_email == recipient,
                email_logs.c.status.in_(_RECEIVED),
            )
        )
    )


def has_digest(connection: Connection, batch_id: int) -> bool:
    """Return whether a digest of the batch was sent, or may have been."""
    sent = select(email_logs.c.id).where(
        email_logs.c.batch_id == batch_id,
        email_logs.c.summary_id.is_(None),
        email_logs.c.kind == "digest",
        email_logs.c.status.in_(_RECEIVED),
    )
    return connection.scalar(sent.limit(1)) is not None


def finish(connection: Connection, log_id: int, *, sent: bool, note: str) -> None:
    """Record the result of sending a mail; ``note`` is the answer of the mail server, or the error."""
    connection.execute(
        update(email_logs)
        .where(email_logs.c.id == log_id)
        .values(
            status="sent" if sent else "failed",
            delivery_status=note,
            sent_at=func.clock_timestamp() if sent else None,
        )
    )


def sent_of_batch(connection: Connection, batch_id: int) -> int:
    """Return the number of sent mails of a batch, including its report."""
    return (
        connection.scalar(
            select(func.count()).where(email_logs.c.batch_id == batch_id, email_logs.c.status == "sent")
        )
        or 0
    )


def not_sent(connection: Connection, summary_id: int) -> dict[str, list[str]]:
    """Return the recipients whose mail with these minutes is ``unconfirmed`` or ``repeated``, by that status."""
    rows = connection.execute(
        select(email_logs.c.status, email_logs.c.recipient_email)
        .where(email_logs.c.summary_id == summary_id, email_logs.c.status.in_(("unconfirmed", "repeated")))
        .order_by(email_logs.c.recipient_email)
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.status, []).append(row.recipient_email)
    return found


def count_unsent(connection: Connection) -> dict[str, int]:
    """Return the number of mails of all batches that are not known to be sent, by status."""
    rows = connection.execute(
        select(email_logs.c.status, func.count().label("mails")).where(UNSENT).group_by(email_logs.c.status)
    )
    return {row.status: row.mails for row in rows}


def count_sent_since(connection: Connection, age: timedelta) -> int:
    """Return the number of mails that were sent within ``age``."""
    return connection.execute(
        select(func.count()).where(email_logs.c.sent_at > func.now() - age)
    ).scalar_one()
