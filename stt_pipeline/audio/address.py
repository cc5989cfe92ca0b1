"""Addresses of sources and audio files, such as ``file:///data/a.mp3`` and ``s3://recordings/2026``. No file is opened here.

The manifest stores the text of an address. A ``file://`` address is plain ASCII for any file name. An ``s3://`` address
contains the key without encoding, as AWS tools write it.
"""

import os
import re
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from urllib.parse import unquote_to_bytes

from stt_pipeline.errors import InvalidRequestError

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # no user, port or percent sign


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address. ``str()`` gives its text, and :meth:`parse` reads it again.

    Attributes:
        scheme: ``file``, ``s3`` or another kind of source, in lower case.
        authority: the bucket of S3; empty for a local path.
        key: the key of S3 without encoding, or the local path; undecodable bytes are surrogates, as in :func:`os.fsdecode`.
    """

    scheme: str
    authority: str
    key: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Parse an address with a scheme. ``%`` has a meaning in ``file://`` addresses only.

        Raises:
            InvalidRequestError: it has no scheme, is not a path of this machine, or has no valid bucket.
        """
        scheme, separator, location = text.partition("://")
        scheme = scheme.lower()
        if not separator:
            raise InvalidRequestError(f"{text!r} is not an address: write file:///path or s3://bucket/key.")
        if scheme == "file":
            return cls.of_path(_local_path(text, location))
        authority, _, key = location.partition("/")
        if scheme == "s3" and not _BUCKET.fullmatch(authority):
            # the text is not shown: it can contain a password
            raise InvalidRequestError(
                "The s3:// address has no bucket's name: write it as in s3://recordings/2026/."
            )
        return cls(scheme, authority, key)

    @classmethod
    def from_user(cls, text: str) -> "Address":
        """Parse what a user of this machine types: an address, or a path where ``~`` is a home.

        Raises:
            InvalidRequestError: as for :meth:`parse`, or that home does not exist.
        """
        if "://" in text:
            return cls.parse(text)
        try:
            return cls.of_path(Path(text).expanduser())
        except RuntimeError as error:
            raise InvalidRequestError(f"{text!r}: {error} Write the whole path.") from error

    @classmethod
    def of_path(cls, path: Path) -> "Address":
        """Return the address of a local path, which becomes absolute; links are not followed."""
        return cls("file", "", str(path.absolute()))

    def __str__(self) -> str:
        """Return the text of the address.

        The bytes of a local name are percent-encoded as they are on disk, so that every name is restored: Korean in NFC or
        NFD, quotes, ``%``, ``#``, and bytes that are not UTF-8. In a key, a NUL becomes U+FFFD, because no database stores it.
        """
        if self.is_local:
            return Path(self.key).as_uri()
        location = f"{self.authority}/{self.key}" if self.key else self.authority
        return f"{self.scheme}://{location}".replace("\0", "\ufffd")

    @property
    def is_local(self) -> bool:
        """Whether it is a path of this machine."""
        return self.scheme == "file"

    @property
    def path(self) -> Path:
        """The local path.

        Raises:
            InvalidRequestError: the address is not local.
        """
        if not self.is_local:
            raise InvalidRequestError(f"{str(self)!r} is not a file:// address.")
        return Path(self.key)

    @property
    def parts(self) -> tuple[str, ...]:
        """Whole names of the path or key; slashes at the end do not count."""
        if self.is_local:
            return Path(self.key).parts
        key = self.key.rstrip("/")
        return tuple(key.split("/")) if key else ()

    @property
    def folder(self) -> "Address":
        """The same address without slashes at its end."""
        return self if self.is_local else replace(self, key=self.key.rstrip("/"))

    def within(self, other: "Address") -> bool:
        """Return whether this address is ``other`` or below it, by whole names: meetings-old is not within meetings."""
        return (self.scheme, self.authority) == (other.scheme, other.authority) and (
            self.parts[: len(other.parts)] == other.parts
        )

    @property
    def name(self) -> str:
        """The last part for display, see :func:`display_name`."""
        if self.is_local:
            return _printable(Path(self.key).name)
        return _printable(str(self).rstrip("/").rpartition("/")[2])

    @property
    def readable(self) -> str:
        """The whole address for display: a local path as typed in a shell, other addresses as their text."""
        return _printable(self.key if self.is_local else str(self))

    def display(self, source: "Address") -> str:
        """Return the path within ``source`` for display, or the whole address or path if it is not in there."""
        if not self.is_local:
            # every slash is a character of the key: two in a row are not one
            return _printable(str(self).removeprefix(f"{source.folder}/"))
        path = Path(self.key)
        if source.is_local and path.is_relative_to(source.key):
            path = path.relative_to(source.key)
        return "/".join(_printable(PurePath(part).name) for part in path.parts)


def display_name(location: str | PurePath) -> str:
    """Return the last part of an address or path as text that every terminal, database and mail can show.

    Korean is composed (NFC); control characters and bytes that are not UTF-8 become U+FFFD. Do not use it as a key: two
    files can have the same display name.
    """
    if isinstance(location, str) and "://" in location:
        return Address.parse(location).name
    return _printable(PurePath(location).name)


def display_path(uri: str, source: str) -> str:
    """Return the address of a file as a path within its source, with the characters of :func:`display_name`."""
    return Address.parse(uri).display(Address.from_user(source))


def display_source(source: str) -> str:
    """Return the address of a source for display, with the characters of :func:`display_name`."""
    return Address.from_user(source).readable


def _printable(text: str) -> str:
    decoded = os.fsencode(text).decode("utf-8", errors="replace")
    shown = "".join("\ufffd" if unicodedata.category(char) == "Cc" else char for char in decoded)
    return unicodedata.normalize("NFC", shown)


def _local_path(text: str, location: str) -> Path:
    """Return the path of a ``file://`` address; ``location`` is the part after the scheme."""
    host, slash, path = location.partition("/")
    if not slash or host.lower() not in ("", "localhost"):
        raise InvalidRequestError(
            f"{text!r} names another machine or a relative path: write file:///absolute/path with three slashes."
        )
    try:
        decoded = unquote_to_bytes(f"/{path}")
    except UnicodeEncodeError:
        raise InvalidRequestError(f"{text!r} is not valid text.") from None
    if b"\0" in decoded:
        raise InvalidRequestError(f"{text!r} contains %00, which no path can hold.")
    return Path(os.fsdecode(decoded))
