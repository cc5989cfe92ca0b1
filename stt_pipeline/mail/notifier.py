"""The notifier of the scheme ``mailto``: renders an event as a mail and sends it by SMTP, or writes it to the outbox."""

import threading
from pathlib import Path
from types import TracebackType

from stt_pipeline.mail.mail import address as email_address
from stt_pipeline.mail.mailer import load_mailer
from stt_pipeline.mail.messages import rendered
from stt_pipeline.notify.events import Event
from stt_pipeline.notify.recipients import Recipient


class MailNotifier:
    """Sends a mail for each event. Within a ``with`` block one SMTP connection serves all mails.

    Raises:
        ConfigurationError: STT_SMTP_URL or STT_MAIL_FROM is invalid.
    """

    example = "kim@example.com"

    def __init__(self, smtp_url: str, outbox: Path, mail_from: str) -> None:
        """Send by the server of ``smtp_url``; if empty, write .eml files to the folder ``outbox``."""
        self._mailer = load_mailer(smtp_url, outbox, mail_from)
        self._lock = threading.RLock()  # an SMTP connection is for one thread at a time
        self.name = self._mailer.name

    @staticmethod
    def normalize(address: str) -> str:
        """See :meth:`Notifier.normalize`."""
        return email_address(address)

    def deliver(self, event: Event, recipient: Recipient) -> str:
        """See :meth:`Notifier.deliver`."""
        mail = rendered(event, recipient.address)
        with self._lock:
            return self._mailer.send(mail)

    def check(self) -> None:
        """See :meth:`Notifier.check`."""
        self._mailer.check()

    def __enter__(self) -> "MailNotifier":
        """Keep the connection from now on."""
        with self._lock:
            self._mailer.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection."""
        with self._lock:
            self._mailer.__exit__(kind, error, traceback)
