"""Where batches may take recordings from: an address against the places of ``STT_ALLOWED_SOURCES``.

An address is judged by its text first; the filesystem is asked only about what is left, and then for links alone.
"""

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from stt_pipeline.audio.folder import LocalFolder
from stt_pipeline.audio.opening import SourceAccess, expanded, open_source
from stt_pipeline.audio.patterns import DEFAULT_PATTERN
from stt_pipeline.audio.sources import Source
from stt_pipeline.audio.uris import bucket_and_key, is_bucket, path_from_uri
from stt_pipeline.errors import ConfigurationError, InvalidRequestError

MAX_ADDRESS_LENGTH = 4_096
"""Characters of an address, which is also what Linux takes for a path."""

_DEEPEST = 8  # nobody means a name that is percent-encoded so often
_SEPARATORS = re.compile(r"[/\\]")
# bytes that only a careless decoder takes for a character (RFC 3629, section 10): C0 AE for a dot
_OVERLONG = re.compile(
    rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf][\x80-\xbf]"
)
_TURNS_TEXT = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder, or a bucket's prefix. ``parts`` are whole names, so that meetings-old is not under meetings."""

    scheme: str
    host: str
    parts: tuple[str, ...]

    def holds(self, other: "_Place") -> bool:
        return (self.scheme, self.host) == (other.scheme, other.host) and (
            other.parts[: len(self.parts)] == self.parts
        )

    @property
    def folder(self) -> Path:
        return Path(*self.parts)

    def __str__(self) -> str:
        if self.scheme == "file":
            return self.folder.as_uri()
        return "/".join((f"{self.scheme}://{self.host}", *self.parts))


@dataclass(frozen=True, slots=True)
class AllowedSources:
    """The places that batches may use. Make it with :meth:`for_api` or :meth:`for_people`."""

    places: tuple[_Place, ...]
    anywhere: bool = False
    """No rule at all: who uses this machine may read what its files' permissions allow."""
    relative: bool = False
    """Folders may be given relative to the working folder, or to a home as in ``~/meetings``."""
    access: SourceAccess | None = None
    """How sources are reached; None for folders alone."""

    @classmethod
    def for_api(cls, setting: str, access: SourceAccess | None = None) -> "AllowedSources":
        """Return the places of ``STT_ALLOWED_SOURCES`` for callers from outside: where it is empty, there are none.

        Raises:
            ConfigurationError: an address in it cannot be used.
        """
        return cls(_places(setting), access=access)

    @classmethod
    def for_people(cls, setting: str, access: SourceAccess | None = None) -> "AllowedSources":
        """Return the places of ``STT_ALLOWED_SOURCES`` for who uses this machine: where it is empty, any folder.

        Raises:
            ConfigurationError: an address in it cannot be used.
        """
        places = _places(setting)
        return cls(places, anywhere=not places, relative=True, access=access)

    def open(self, source_path: str, file_pattern: str = "") -> Source:
        """Return the source at ``source_path`` if it is allowed; an empty pattern is the default one.

        Links are followed anew each time, since they change: a source is opened when a batch is made, when it is
        scanned, and when its files are read.

        Raises:
            InvalidRequestError: not allowed, no such source, or the address or pattern is not valid.
        """
        if not self.anywhere:
            place = self._checked(source_path)
            if place.scheme == "file":
                self._check_links(os.path.realpath(place.folder))
        check = None if self.anywhere else self.check
        source = open_source(source_path, file_pattern or DEFAULT_PATTERN, self.access, check)
        if not self.anywhere and isinstance(source, LocalFolder):
            self._check_links(source.real_path)
        return source

    def check(self, uri: str) -> None:
        """Hold the address of a single file to the rules: one that a list names, or the list's own.

        Raises:
            InvalidRequestError: it is in none of the allowed places, by its text or by where links lead.
        """
        if self.anywhere:
            return
        if uri[:5].lower() == "s3://":
            bucket, key = bucket_and_key(uri)
            place = _Place("s3", bucket, tuple(key.split("/")))
        else:
            path = path_from_uri(uri)
            place = _Place("file", "", path.parts)
        if {".", ".."} & set(place.parts) or not self._is_held(place):
            raise InvalidRequestError(self._refusal(uri))
        if place.scheme == "file":
            self._check_links(os.path.realpath(place.folder))

    def _is_held(self, place: _Place) -> bool:
        return any(allowed.holds(place) for allowed in self.places)

    def _refusal(self, text: str) -> str:
        return f"{_shown(text)} is in none of the allowed places: {', '.join(map(str, self.places))}."

    def _checked(self, source_path: str) -> _Place:
        """Return where an address points to, by its text alone."""
        if not self.places:
            raise InvalidRequestError(
                "No source is allowed here: whoever runs the product names them in STT_ALLOWED_SOURCES."
            )
        text = source_path
        if self.relative and "://" not in text:
            _check_text(text)
            text = str(expanded(text).absolute())
        place = _place(text)
        if not self._is_held(place):
            raise InvalidRequestError(f"The source {self._refusal(text)}")
        return place

    def _check_links(self, real_path: str | Path) -> None:
        folders = [os.path.realpath(place.folder) for place in self.places if place.scheme == "file"]
        if not any(Path(real_path).is_relative_to(folder) for folder in folders):
            # where the link leads is not for everybody to know
            raise InvalidRequestError(
                "The source leaves the allowed places through a symbolic link: give the folder itself, if it is allowed."
            )


ALLOW_ALL = AllowedSources((), anywhere=True, relative=True)
"""For tests, benchmarks and the product's own samples. What people ask for is held to the setting."""


def _places(setting: str) -> tuple[_Place, ...]:
    addresses = [address.strip() for address in setting.split(",") if address.strip()]
    try:
        return tuple(map(_place, addresses))
    except InvalidRequestError as error:
        raise ConfigurationError(f"STT_ALLOWED_SOURCES cannot be used. {error}") from error


def _place(text: str) -> _Place:
    _check_text(text)
    scheme, separator, location = text.partition("://")
    scheme = scheme.lower()
    if not separator:
        if not text.startswith("/"):
            raise InvalidRequestError(
                f"The source {_shown(text)} is not absolute: write it as in file:///data/meetings."
            )
        return _Place("file", "", Path(text).parts)
    if scheme not in ("file", "s3"):
        raise InvalidRequestError(
            f"{_shown(scheme)} is not a known kind of source: write it as in file:///data/meetings or s3://recordings/2026."
        )
    host, _, path = location.partition("/")
    if "@" in unquote_to_bytes(host).decode("utf-8", "replace"):
        # not shown: it would end up in a log
        raise InvalidRequestError(
            "The source has a user or password in its address: leave them out, credentials are settings."
        )
    if scheme == "file":
        return _Place("file", "", path_from_uri(text).parts)
    # a bucket's name has one spelling, and in a key % and // are characters like others
    if not is_bucket(host):
        raise InvalidRequestError(f"{_shown(host)} is no bucket: write it as in s3://recordings/2026/.")
    return _Place("s3", host, tuple(path.rstrip("/").split("/")) if path.strip("/") else ())


def _check_text(text: str) -> None:
    """Refuse what no honest address has, whether written out or percent-encoded once or more.

    Raises:
        InvalidRequestError: too long, control characters, text that is shown in another order, or a way up (``..``).
    """
    if len(text) > MAX_ADDRESS_LENGTH:
        raise InvalidRequestError(
            f"The source has {len(text):,} characters, and may have {MAX_ADDRESS_LENGTH:,}."
        )
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidRequestError(f"The source {_shown(text)} is not valid text.") from None
    for _ in range(_DEEPEST):
        readable = raw.decode("utf-8", "surrogateescape")
        if any(unicodedata.category(char) in ("Cc", "Zl", "Zp") or char in _TURNS_TEXT for char in readable):
            raise InvalidRequestError(f"The source {_shown(text)} contains control characters.")
        # wide and narrow forms of dots and slashes are the same to some filesystems and to people
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
