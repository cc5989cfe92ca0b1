"""A mail as data, and as an RFC 5322 message. Sending is in `smtp` and `outbox`, text in `messages`."""

import hashlib
import re
from dataclasses import dataclass
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, localtime
from typing import Final

from email_validator import EmailNotValidError, validate_email

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.notify.events import Attachment

# all line breaks of str.splitlines
_FORBIDDEN: Final = re.compile(r"[\r\n\0\v\f\x1c-\x1e\x85\u2028\u2029]")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_MESSAGE_ID: Final = re.compile(r"<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+>")


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one recipient, as text and as HTML. ``message_id`` comes from :func:`message_id`.

    Raises:
        InvalidRequestError: the recipient is not an address, or a header holds a line break (header injection).
    """

    recipient: str
    subject: str
    text: str
    html: str
    message_id: str
    attachments: tuple[Attachment, ...] = ()

    def __post_init__(self) -> None:
        address(self.recipient)
        if _FORBIDDEN.search(self.subject):
            raise InvalidRequestError(f"The subject of a mail must be one line, not {self.subject!r}.")
        if not _MESSAGE_ID.fullmatch(self.message_id):
            raise InvalidRequestError(
                f"{self.message_id!r} is not a message id. Create it with message_id()."
            )
        for attachment in self.attachments:
            if _FORBIDDEN.search(attachment.filename + attachment.media_type):
                raise InvalidRequestError(
                    f"The name of an attachment must be one line, not {attachment.filename!r}."
                )


def address(text: str) -> str:
    """Return an email address in its normal form, with an international domain in ASCII. Does no DNS lookup.

    Hosts without a dot (``ann@localhost``, ``ann@mail``) are accepted; display names are not.

    Raises:
        InvalidRequestError: ``text`` is not an address.
    """
    name, at, domain = text.rpartition("@")
    if "=?" in name:
        # mail programs and Python's parser decode it, possibly to other addresses
        raise InvalidRequestError(
            f"{text!r} is not an email address: it has an encoded word (=?) before the @."
        )
    if at and _HOST.fullmatch(domain):
        # email-validator refuses a host without a dot, so the name is checked with another domain
        return f"{_validated(f'{name}@example.com', text).rpartition('@')[0]}@{domain.lower()}"
    return _validated(text, text)


def _validated(text: str, shown: str) -> str:
    try:
        valid = validate_email(text, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError as error:
        raise InvalidRequestError(f"{shown!r} is not an email address: {error}") from error
    return valid.ascii_email or valid.normalized


def message_id(kind: str, identity: str | int, recipient: str) -> str:
    """Return the message id of a mail; it depends on the arguments only.

    A mail server or client that gets one id twice shows one mail. So ``identity`` must be unique over installations and
    restored databases: join the id of the row with its creation time.

    Args:
        kind: "minutes" or "batch_report".
        identity: the subject of the mail.
        recipient: an email address.
    """
    key = "\0".join((kind, str(identity), address(recipient)))
    return f"<{kind}.{hashlib.sha256(key.encode()).hexdigest()[:32]}@stt-pipeline.local>"


def mime_message(mail: Mail, sender: Address) -> EmailMessage:
    """Return ``mail`` as a message for SMTP: text and HTML as alternatives, headers encoded for any script."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = sender
    message["To"] = address(mail.recipient)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = mail.message_id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: suppresses out-of-office replies
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    for attachment in mail.attachments:
        maintype, _, subtype = attachment.media_type.partition("/")
        message.add_attachment(
            attachment.content, maintype=maintype, subtype=subtype, filename=attachment.filename
        )
    return message
