"""Recipients of notifications: parsed here and nowhere else."""

import re
from dataclasses import dataclass
from typing import Final

from stt_pipeline.backends import NOTIFIERS
from stt_pipeline.errors import InvalidRequestError

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.+)", re.DOTALL)  # RFC 3986, section 3.1
_MAIL: Final = "mailto"


@dataclass(frozen=True, slots=True)
class Recipient:
    """A scheme of ``NOTIFIERS`` and an address in the normal form of its notifier.

    ``str(recipient)`` is the form for the database and for users: a plain address for mail, else ``scheme:address``.
    """

    scheme: str
    address: str

    @classmethod
    def parse(cls, text: str) -> "Recipient":
        """Return the recipient of ``text``: an email address, or ``scheme:address``.

        Raises:
            InvalidRequestError: no notifier has that scheme, or the address is invalid.
        """
        match = _SCHEME.fullmatch(text)
        scheme, address = (match[1].lower(), match[2]) if match else (_MAIL, text)
        if scheme not in NOTIFIERS:
            known = ", ".join(f"{name}:" for name in NOTIFIERS)
            raise InvalidRequestError(
                f"{text!r} cannot be notified: no notifier has the scheme {scheme}:. Give an email address, or an address "
                f"of one of these schemes: {known}."
            )
        return cls(scheme, NOTIFIERS[scheme].load().normalize(address))

    def __str__(self) -> str:
        """Return the text that :meth:`parse` reads."""
        return self.address if self.scheme == _MAIL else f"{self.scheme}:{self.address}"
