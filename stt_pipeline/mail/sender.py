"""The sender of all mails, STT_MAIL_FROM: an address, or a name and an address. Recipients are checked by `Mail`."""

import re
from email.headerregistry import Address
from typing import Final

from stt_pipeline.errors import ConfigurationError, InvalidRequestError
from stt_pipeline.mail.mail import address

# RFC 5322 wants a name with a comma or a dot in quotes; users leave them out, and a sender is one address only
_NAMED: Final = re.compile(r'\s*"?(?P<name>[^"<>]*?)"?\s*<(?P<address>[^<>]*)>\s*')


def checked_sender(sender: str) -> Address:
    """Return the sender of ``stt@example.com``, or with a name of any script, ``회의록 <stt@example.com>``.

    Raises:
        ConfigurationError: the address is invalid, or the name has a line break or another control character.
    """
    named = _NAMED.fullmatch(sender)
    name, plain = (named["name"], named["address"]) if named else ("", sender)
    if not name.isprintable():
        raise ConfigurationError(f"STT_MAIL_FROM is invalid: its name must be one line, not {name!r}.")
    try:
        return Address(display_name=name, addr_spec=address(plain))
    except InvalidRequestError as error:
        raise ConfigurationError(
            f"STT_MAIL_FROM is invalid. {error} Give an address, or a name and an address: Minutes <stt@example.com>."
        ) from error
