"""The sender address, checked once when a mailer is created. Recipients are checked by `Mail`."""

from stt_pipeline.errors import ConfigurationError, InvalidRequestError
from stt_pipeline.mail.mail import address


def checked_sender(sender: str) -> str:
    """Return the address of the sender in its normal form.

    Raises:
        ConfigurationError: it is not an address.
    """
    try:
        return address(sender)
    except InvalidRequestError as error:
        raise ConfigurationError(f"STT_MAIL_FROM is invalid. {error}") from error
