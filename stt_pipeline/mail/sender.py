"""The address that mails come from, checked once when a mailer is made. Recipients are checked by `Mail`."""

from stt_pipeline.errors import ConfigurationError, InvalidRequestError
from stt_pipeline.mail.mail import address


def checked_sender(sender: str) -> str:
    """Return the sender's address in its normal form.

    Raises:
        ConfigurationError: it is no address.
    """
    try:
        return address(sender)
    except InvalidRequestError as error:
        raise ConfigurationError(f"STT_MAIL_FROM cannot be used. {error}") from error
