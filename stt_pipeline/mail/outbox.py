"""Mails as .eml files in a folder, for a machine without a mail server. Any mail program opens them."""

import os
import tempfile
from pathlib import Path
from types import TracebackType

from stt_pipeline.errors import EmailError
from stt_pipeline.mail.mail import Mail, mime_message
from stt_pipeline.mail.sender import checked_sender


class OutboxMailer:
    """Writes each mail to ``folder``. The name comes from the message id, so a mail written twice is one file.

    Raises:
        ConfigurationError: ``sender`` is no address.
    """

    name = "outbox"

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = checked_sender(sender)

    def send(self, mail: Mail) -> str:
        """Write ``mail`` in one step and return its path.

        Raises:
            EmailError: the folder cannot be written to.
        """
        path = self._folder / f"{mail.message_id.strip('<>').partition('@')[0]}.eml"
        content = mime_message(mail, self._sender).as_bytes()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # written beside it and renamed: a reader never sees half a mail, also when two runs write the same one
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
                "Free the disk or allow this user to write there, then publish the batch again."
            ) from error
        return str(path)

    def __enter__(self) -> "OutboxMailer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is held open."""
