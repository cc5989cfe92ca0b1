"""Check the address of a source against ``STT_ALLOWED_SOURCES``.

The text of an address is checked first. Only for an address that passes is the filesystem read, to resolve links.
"""

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.address import Address
from stt_pipeline.audio.folder import LocalFolder
from stt_pipeline.audio.opening import open_source, source_address
from stt_pipeline.audio.patterns import DEFAULT_PATTERN
from stt_pipeline.audio.sources import Source
from stt_pipeline.backends import SOURCES
from stt_pipeline.errors import ConfigurationError, InvalidRequestError

MAX_ADDRESS_LENGTH = 4_096
"""Characters of an address; also the limit of Linux for a path."""

_MAX_ENCODINGS = 8  # no real name is percent-encoded more often
_SEPARATORS = re.compile(r"[/\\]")
# invalid UTF-8 that a careless decoder accepts as a character (RFC 3629, section 10): C0 AE for a dot
_OVERLONG = re.compile(
    rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf][\x80-\xbf]"
)
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class AllowedSources:
    """The sources that batches may use. Create it with :meth:`for_api` or :meth:`for_users`.

    Attributes:
        places: folders and prefixes; a source must be one of them or below one.
        allow_all: no check: users of this machine can read all files that their permissions allow.
        relative: a folder can be relative to the working folder, or to a home as in ``~/meetings``.
        access: how sources are reached; None takes the settings of this process.
    """

    places: tuple[Address, ...]
    allow_all: bool = False
    relative: bool = False
    access: SourceAccess | None = None

    @classmethod
    def for_api(cls, setting: str, access: SourceAccess | None = None) -> "AllowedSources":
        """Return the places of ``STT_ALLOWED_SOURCES`` for callers of the API: if it is empty, no source is allowed.

        Raises:
            ConfigurationError: an address in it cannot be used.
        """
        return cls(_places(setting), access=access)

    @classmethod
    def for_users(cls, setting: str, access: SourceAccess | None = None) -> "AllowedSources":
        """Return the places of ``STT_ALLOWED_SOURCES`` for users of this machine: if it is empty, all sources are allowed.

        Raises:
            ConfigurationError: an address in it cannot be used.
        """
        places = _places(setting)
        return cls(places, allow_all=not places, relative=True, access=access)

    def open(self, source_path: str, file_pattern: str = "") -> Source:
        """Return the source at ``source_path`` if it is allowed; an empty pattern is the default one.

        Links can change, so they are resolved each time: when a batch is created, when its source is scanned, and when its
        files are read.

        Raises:
            InvalidRequestError: not allowed, no such source, or the address or pattern is not valid.
        """
        if self.allow_all:
            return open_source(source_path, file_pattern or DEFAULT_PATTERN, self.access)
        address = self._checked(source_path)
        if address.is_local:
            self._check_links(os.path.realpath(address.path))
        source = open_source(address, file_pattern or DEFAULT_PATTERN, self.access, self.check)
        if isinstance(source, LocalFolder):
            self._check_links(source.real_path)
        return source

    def check(self, address: Address) -> None:
        """Check the address of a single file: a file list, or an address in it.

        Raises:
            InvalidRequestError: it is in none of the allowed places, by its text or after links are resolved.
        """
        if self.allow_all:
            return
        if {".", ".."} & set(address.parts) or not self._contains(address):
            raise InvalidRequestError(self._refusal(str(address)))
        if address.is_local:
            self._check_links(os.path.realpath(address.path))

    def _contains(self, address: Address) -> bool:
        return any(address.within(place) for place in self.places)

    def _refusal(self, text: str) -> str:
        places = ", ".join(str(place.folder) for place in self.places)
        return f"{_shown(text)} is in none of the allowed places: {places}."

    def _checked(self, source_path: str) -> Address:
        """Parse and check an address by its text alone."""
        if not self.places:
            raise InvalidRequestError("No source is allowed here: set STT_ALLOWED_SOURCES to allow some.")
        text = source_path
        if self.relative and "://" not in text:
            _check_text(text)
            text = str(source_address(text).path)
        address = _parse(text)
        if not self._contains(address):
            raise InvalidRequestError(f"The source {self._refusal(text)}")
        return address

    def _check_links(self, real_path: str | Path) -> None:
        folders = [os.path.realpath(place.path) for place in self.places if place.is_local]
        if not any(Path(real_path).is_relative_to(folder) for folder in folders):
            # the message does not show where the link leads
            raise InvalidRequestError(
                "The source leaves the allowed places through a symbolic link: give the folder itself, if it is allowed."
            )


ALLOW_ALL = AllowedSources((), allow_all=True, relative=True)
"""For tests, benchmarks and the product's own samples; sources of users are checked against the setting."""


def _places(setting: str) -> tuple[Address, ...]:
    addresses = [address.strip() for address in setting.split(",") if address.strip()]
    try:
        return tuple(map(_parse, addresses))
    except InvalidRequestError as error:
        raise ConfigurationError(f"STT_ALLOWED_SOURCES cannot be used. {error}") from error


def _parse(text: str) -> Address:
    _check_text(text)
    scheme, separator, location = text.partition("://")
    if not separator:
        if not text.startswith("/"):
            raise InvalidRequestError(
                f"The source {_shown(text)} is not absolute: write it as in file:///data/meetings."
            )
        return Address.of_path(Path(text))
    if scheme.lower() not in SOURCES:
        raise InvalidRequestError(
            f"{_shown(scheme.lower())} is not a known kind of source: write it as in file:///data/meetings or s3://recordings/2026."
        )
    host, _, _ = location.partition("/")
    if "@" in unquote_to_bytes(host).decode("utf-8", "replace"):
        # the address is not shown: it would end up in a log
        raise InvalidRequestError(
            "The source has a user or password in its address: remove it, credentials are settings."
        )
    return Address.parse(text)


def _check_text(text: str) -> None:
    """Refuse dangerous text, also if it is percent-encoded once or more.

    Raises:
        InvalidRequestError: too long, control characters, bidirectional controls, or a parent folder (``..``).
    """
    if len(text) > MAX_ADDRESS_LENGTH:
        raise InvalidRequestError(
            f"The source has {len(text):,} characters, and may have {MAX_ADDRESS_LENGTH:,}."
        )
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidRequestError(f"The source {_shown(text)} is not valid text.") from None
    for _ in range(_MAX_ENCODINGS):
        readable = raw.decode("utf-8", "surrogateescape")
        if any(
            unicodedata.category(char) in ("Cc", "Zl", "Zp") or char in _BIDI_CONTROLS for char in readable
        ):
            raise InvalidRequestError(f"The source {_shown(text)} contains control characters.")
        # full-width dots and slashes look the same, and some filesystems treat them as the same
        if ".." in _SEPARATORS.split(unicodedata.normalize("NFKC", readable)) or _OVERLONG.search(raw):
            raise InvalidRequestError(
                f"The source {_shown(text)} leads upwards (..): write the folder's full address."
            )
        decoded = unquote_to_bytes(raw)
        if decoded == raw:
            return
        raw = decoded
    raise InvalidRequestError(f"The source {_shown(text)} is percent-encoded over and over.")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 200 else text[:200] + "…")
