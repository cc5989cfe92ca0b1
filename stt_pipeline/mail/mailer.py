"""The interface of a mailer, and the choice between SMTP and the outbox."""

from pathlib import Path
from types import TracebackType
from typing import Protocol

from stt_pipeline.mail.mail import Mail
from stt_pipeline.mail.outbox import OutboxMailer
from stt_pipeline.mail.smtp import SmtpMailer


class Mailer(Protocol):
    """Sends mails. As a context manager it keeps one connection for several mails; ``send`` also works outside of it."""

    name: str

    def send(self, mail: Mail) -> str:
        """Send ``mail`` and return a note for the delivery log, such as the name of the server.

        Raises:
            EmailError: it was not sent; the message has the reason.
        """
        ...

    def check(self) -> None:
        """Check that a mail would be accepted at the moment, within seconds. Sends nothing.

        Raises:
            EmailError: it would not; the message has the reason.
        """
        ...

    def __enter__(self) -> "Mailer": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def load_mailer(smtp_url: str, outbox: Path, sender: str) -> Mailer:
    """Return the mailer of ``STT_SMTP_URL``; if it is empty, one that writes .eml files to ``outbox``.

    Raises:
        ConfigurationError: the URL or the address of the sender is invalid.
    """
    return SmtpMailer(smtp_url, sender) if smtp_url else OutboxMailer(outbox, sender)
