"""Queries on ``stt_email_logs``, which prevents duplicate mails: one row per (subject of the mail, recipient), ever.

A mail is *sending* before the mail server gets it and *sent* after. A row that is still *sending* belongs to a crashed
process. It is not known whether that mail was sent, so it becomes *unconfirmed* and is not sent again.
"""

from datetime import timedelta

from sqlalchemy import Connection, and_, func, select, update
from sqlalchemy.dialects.postgresql import insert

from stt_pipeline.store.tables import email_logs
from stt_pipeline.store.tables.results import UNSENT


def begin(connection: Connection, *, batch_id: int, summary_id: int | None, recipient: str) -> int | None:
    """Reserve a mail and return its log id, or None if it must not be sent again.

    Args:
        summary_id: the minutes in the mail; None for the report of the batch.
    """
    target = (
        email_logs.c.summary_id == summary_id
        if summary_id is not None
        else and_(email_logs.c.batch_id == batch_id, email_logs.c.summary_id.is_(None))
    )
    connection.execute(
        update(email_logs)
        .where(target, email_logs.c.recipient_email == recipient, email_logs.c.status == "sending")
        .values(
            status="unconfirmed",
            delivery_status="The process ended while it sent the mail. The mail is not sent again.",
        )
    )
    retried: int | None = connection.scalar(
        update(email_logs)
        .where(target, email_logs.c.recipient_email == recipient, email_logs.c.status == "failed")
        .values(status="sending", delivery_status=None)
        .returning(email_logs.c.id)
    )
    if retried is not None:
        return retried
    reserved: int | None = connection.scalar(
        insert(email_logs)
        .values(batch_id=batch_id, summary_id=summary_id, recipient_email=recipient, status="sending")
        .on_conflict_do_nothing()
        .returning(email_logs.c.id)
    )
    return reserved


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


def unconfirmed(connection: Connection, summary_id: int) -> list[str]:
    """Return the recipients of minutes whose mail is unconfirmed."""
    return list(
        connection.scalars(
            select(email_logs.c.recipient_email)
            .where(email_logs.c.summary_id == summary_id, email_logs.c.status == "unconfirmed")
            .order_by(email_logs.c.recipient_email)
        )
    )


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
