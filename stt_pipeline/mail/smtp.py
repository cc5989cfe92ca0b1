"""Mails over SMTP, with TLS where the server offers it."""

import contextlib
import smtplib
import ssl
from types import TracebackType
from typing import Final
from urllib.parse import unquote, urlsplit

from stt_pipeline.errors import ConfigurationError, EmailError
from stt_pipeline.mail.mail import Mail, mime_message
from stt_pipeline.mail.sender import checked_sender

TIMEOUT_SECONDS: Final = 30.0
CHECK_SECONDS: Final = 3.0  # a user waits for it
# submission ports of RFC 8314 (implicit TLS) and RFC 6409
DEFAULT_PORTS: Final = {"smtp": 587, "smtps": 465}
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class SmtpMailer:
    """Sends mails to the server of ``url``: ``smtp://user:password@host:port``, or ``smtps://`` for implicit TLS.

    With ``smtp://`` the connection is upgraded to TLS if the server offers STARTTLS. A password is never sent without TLS,
    except to localhost. Within a ``with`` block one connection serves all mails. Not thread-safe.

    Raises:
        ConfigurationError: the URL or ``sender`` is invalid.
    """

    name = "smtp"

    def __init__(self, url: str, sender: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:  # the error shows a part of the URL, which may be one of the password
            raise _invalid_url() from None
        # an @ after the host: the password contains a character that ends the host
        ends_early = "@" in f"{parts.path}{parts.query}{parts.fragment}"
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname or ends_early:
            raise _invalid_url()
        self._tls = parts.scheme == "smtps"
        self._host = parts.hostname
        self._port = port or DEFAULT_PORTS[parts.scheme]
        self._user = unquote(parts.username or "")
        self._password = unquote(parts.password or "")
        self._sender = checked_sender(sender)
        if self._sender.domain == "localhost" and self._host not in _LOOPBACK:
            raise ConfigurationError(
                f"STT_MAIL_FROM is {self._sender}, which {self._host} cannot send from. Set it to an address of your domain, such "
                "as Minutes <stt@example.com>."
            )
        self._connection: smtplib.SMTP | None = None
        self._keep = False

    def send(self, mail: Mail) -> str:
        """Send ``mail`` and return a note with the host and port of the server.

        Raises:
            EmailError: the server does not answer, or refuses the login, the sender, the recipient or the content.
        """
        message = mime_message(mail, self._sender)
        try:
            self._connected().send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            reason = "; ".join(_reply(*reply) for reply in error.recipients.values())
            raise EmailError(
                f"The mail server {self._where} refused {mail.recipient}: {reason}. Check the address."
            ) from error
        except smtplib.SMTPResponseException as error:
            reason = _reply(error.smtp_code, error.smtp_error)
            raise EmailError(f"The mail server {self._where} refused the mail: {reason}") from error
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise EmailError(
                f"The mail server {self._where} did not accept the mail: {error}. Check STT_SMTP_URL and the server."
            ) from error
        finally:
            if not self._keep:
                self._drop()
        return f"accepted by {self._where}"

    def check(self) -> None:
        """Connect and log in, then close the connection.

        Raises:
            EmailError: the server does not answer within CHECK_SECONDS, or refuses the login.
        """
        try:
            connection = self._connect(CHECK_SECONDS)
        except (OSError, smtplib.SMTPException) as error:
            reason = (
                _reply(error.smtp_code, error.smtp_error)
                if isinstance(error, smtplib.SMTPResponseException)
                else str(error)
            )
            raise EmailError(
                f"The mail server {self._where} does not accept mails: {reason}. Check STT_SMTP_URL and the server."
            ) from error
        with contextlib.suppress(smtplib.SMTPException, OSError):
            connection.quit()
        connection.close()

    def __enter__(self) -> "SmtpMailer":
        self._keep = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._keep = False
        self._drop()

    @property
    def _where(self) -> str:
        return f"{self._host}:{self._port}"

    def _connected(self) -> smtplib.SMTP:
        """Return the open connection, or a new one if there is none or the server closed it."""
        if self._connection is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                if self._connection.noop()[0] == 250:
                    return self._connection
            self._drop()
        self._connection = self._connect(TIMEOUT_SECONDS)
        return self._connection

    def _connect(self, timeout: float) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._tls:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, timeout=timeout, context=context
            )
        else:
            connection = smtplib.SMTP(self._host, self._port, timeout=timeout)
        try:
            connection.ehlo()
            secure = self._tls
            if not self._tls and connection.has_extn("starttls"):
                connection.starttls(context=context)
                connection.ehlo()
                secure = True
            if self._user:
                if not secure and self._host not in _LOOPBACK:
                    raise smtplib.SMTPException("it does not offer TLS, so the password was not sent")
                connection.login(self._user, self._password)
        except BaseException:
            connection.close()
            raise
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                connection.quit()
            connection.close()


def _invalid_url() -> ConfigurationError:
    """Return the error without the URL, because it may hold a password."""
    return ConfigurationError(
        "STT_SMTP_URL must look like smtp://user:password@host:port, or smtps://... for implicit TLS, with special characters "
        "of user and password percent-encoded."
    )


def _reply(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(words.split())}"
