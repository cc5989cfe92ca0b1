"""Deliveries of the publish stage and of the report: which recordings are mailed one by one, and each delivery once."""

from collections.abc import Callable
from typing import Final, Literal, TypeVar

from sqlalchemy import Connection

from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.errors import ConfigurationError, InvalidRequestError
from stt_pipeline.notify.events import Event
from stt_pipeline.notify.notifier import NotifierFor
from stt_pipeline.notify.recipients import Recipient
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline.store.results import emails
from stt_pipeline.store.results.emails import Delivery

DIGEST_FROM: Final = 10
"""Number of recordings of a batch from which on it sends one digest instead of a mail for each recording."""

_Read = TypeVar("_Read")


def mail_of(options: BatchOptions, total_files: int | None) -> Literal["each", "digest", "report"]:
    """Return how the minutes of a batch are mailed; ``auto`` depends on the number of its files at the moment.

    A daily batch of a watch grows: its first recordings are mailed one by one, those after the ninth by the digest.
    """
    if options.mail != "auto":
        return options.mail
    return "each" if (total_files or 0) < DIGEST_FROM else "digest"


def recipients_of(batch: Batch) -> list[Recipient]:
    """Return the recipients of a batch.

    Raises:
        ConfigurationError: no notifier of this installation accepts one of them.
    """
    try:
        return [Recipient.parse(text) for text in batch.notify_emails]
    except InvalidRequestError as error:  # another version accepted it, or had a notifier for it
        raise ConfigurationError(
            f"Batch {batch.id} has a recipient that is not valid now. {error}"
        ) from error


def deliver_once(
    database: Database,
    notifier_for: NotifierFor,
    recipient: Recipient,
    delivery: Delivery,
    *,
    read: Callable[[Connection], _Read],
    event_of: Callable[[_Read], Event],
) -> bool:
    """Deliver an event unless the delivery log has it already; return whether it was delivered now.

    Args:
        delivery: the event's place in the log.
        read: reads what the event needs, in the transaction that reserves the delivery.
        event_of: makes the event of it, after that transaction.

    Raises:
        ConfigurationError: the settings of the notifier are wrong; the log is as before.
        EmailError: it was not delivered; the log has the error, and a later try delivers it.
    """
    notifier = notifier_for(recipient)
    with database.begin() as connection:
        log_id = emails.begin(connection, delivery)
        if log_id is None:
            return False
        found = read(connection)
    try:
        note = notifier.deliver(event_of(found), recipient)
    except Exception as error:
        with database.begin() as connection:
            emails.finish(connection, log_id, sent=False, note=str(error))
        raise
    with database.begin() as connection:
        emails.finish(connection, log_id, sent=True, note=note)
    return True
