"""The one interface of everything that hands mails over, and the choice between the two. No wording, no addresses."""

from pathlib import Path
from types import TracebackType
from typing import Protocol

from stt_pipeline.mail.mail import Mail
from stt_pipeline.mail.outbox import OutboxMailer
from stt_pipeline.mail.smtp import SmtpMailer


class Mailer(Protocol):
    """Hands mails over. As a context manager it keeps one connection for several mails; ``send`` works without, too."""

    name: str

    def send(self, mail: Mail) -> str:
        """Hand ``mail`` over and return a note on where it went, for the log.

        Raises:
            EmailError: it could not be handed over; the message says why.
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
    """Return the mailer for ``STT_SMTP_URL``, or one that writes .eml files to ``outbox`` when it is empty.

    Raises:
        ConfigurationError: the URL or the sender's address cannot be used.
    """
    return SmtpMailer(smtp_url, sender) if smtp_url else OutboxMailer(outbox, sender)
