"""Mails as .eml files in a folder, where no mail server is configured. Mail programs open them."""

import os
import tempfile
from pathlib import Path
from types import TracebackType

from stt_pipeline.errors import EmailError
from stt_pipeline.mail.mail import Mail, mime_message
from stt_pipeline.mail.sender import checked_sender


class OutboxMailer:
    """Writes each mail to ``folder``. The file name is the message id, so a mail that is sent twice is one file.

    Raises:
        ConfigurationError: ``sender`` is not an address.
    """

    name = "outbox"

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = checked_sender(sender)

    def send(self, mail: Mail) -> str:
        """Write ``mail`` atomically and return its path.

        Raises:
            EmailError: the folder cannot be written.
        """
        path = self._folder / f"{mail.message_id.strip('<>').partition('@')[0]}.eml"
        content = mime_message(mail, self._sender).as_bytes()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # atomic: a reader never gets a partial mail, even if two runs write the same one
            handle, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
            part = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise EmailError(
                f"The mail to {mail.recipient} could not be written to {self._folder}: {error.strerror or error}. "
                "Free disk space or make the folder writable for this user, then run the publish stage of the batch again."
            ) from error
        return str(path)

    def check(self) -> None:
        """Check that the folder can be written, or created.

        Raises:
            EmailError: it cannot.
        """
        existing = next(path for path in (self._folder, *self._folder.parents) if path.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            raise EmailError(f"The outbox {self._folder} cannot be written. Give this user write permission.")

    def __enter__(self) -> "OutboxMailer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to close."""
