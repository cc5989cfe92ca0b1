"""Queries on ``stt_email_logs``, which decides who was told: one row for each (what, recipient), ever.

A mail is *sending* before it is handed over and *sent* after. A row that is found in *sending* belongs to a process
that died in between; nobody can know whether that mail went out, so it becomes *unconfirmed* and is not sent again.
"""

from sqlalchemy import Connection, and_, func, select, update
from sqlalchemy.dialects.postgresql import insert

from stt_pipeline.store.tables import email_logs


def begin(connection: Connection, *, batch_id: int, summary_id: int | None, recipient: str) -> int | None:
    """Reserve a mail and return its log id, or None where it was sent before.

    Args:
        summary_id: the minutes that the mail is about; None for the batch's report.
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
            delivery_status="The process ended while it handed the mail over; it is not sent again.",
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
    """Write how handing a mail over went; ``note`` is what the mail server said, or the error."""
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
    """Return how many mails of a batch were sent, its report included."""
    return (
        connection.scalar(
            select(func.count()).where(email_logs.c.batch_id == batch_id, email_logs.c.status == "sent")
        )
        or 0
    )


def unconfirmed(connection: Connection, summary_id: int) -> list[str]:
    """Return the recipients of minutes of whom nobody knows whether the mail reached them."""
    return list(
        connection.scalars(
            select(email_logs.c.recipient_email)
            .where(email_logs.c.summary_id == summary_id, email_logs.c.status == "unconfirmed")
            .order_by(email_logs.c.recipient_email)
        )
    )
