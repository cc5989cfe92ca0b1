"""How the address of an audio file is written, and the way back to a path and to a name for people.

An address is what the manifest stores. That of a local file is plain ASCII whatever the file is called; that of an object
in S3 has its key as it is, as the AWS tools write it. No file is opened here.
"""

import os
import re
import unicodedata
from pathlib import Path, PurePath
from urllib.parse import unquote_to_bytes

from stt_pipeline.errors import InvalidRequestError

_FILE = "file://"
_S3 = "s3://"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def file_uri(path: Path) -> str:
    """Return the ``file://`` address of ``path``.

    The bytes of the name are percent-encoded as they are on disk: Korean in NFC or NFD, quotes, ``%``, ``#``, and
    even bytes that are not UTF-8 come back unchanged from :func:`path_from_uri`.
    """
    return path.absolute().as_uri()


def path_from_uri(uri: str) -> Path:
    """Return the path that a ``file://`` address means; the reverse of :func:`file_uri`.

    An address typed by hand (``file:///data/my meetings``) is understood too: only ``%`` has a meaning.

    Raises:
        InvalidRequestError: not a ``file://`` address of this machine, or not an absolute one.
    """
    if not uri[: len(_FILE)].lower() == _FILE:
        raise InvalidRequestError(f"{uri!r} is not a file:// address.")
    host, slash, path = uri[len(_FILE) :].partition("/")
    if not slash or host.lower() not in ("", "localhost"):
        raise InvalidRequestError(
            f"{uri!r} names another machine or a relative path: write file:///absolute/path with three slashes."
        )
    try:
        decoded = unquote_to_bytes(f"/{path}")
    except UnicodeEncodeError:
        raise InvalidRequestError(f"{uri!r} is not valid text.") from None
    if b"\0" in decoded:
        raise InvalidRequestError(f"{uri!r} contains %00, which no path can hold.")
    return Path(os.fsdecode(decoded))


def s3_uri(bucket: str, key: str) -> str:
    """Return the ``s3://`` address of an object, with its key as it is; a NUL, which no database holds, is U+FFFD."""
    return f"{_S3}{bucket}/{key}".replace("\0", "\ufffd")


def is_bucket(name: str) -> bool:
    """Say whether a bucket can have this name: no user, port or percent sign is part of one."""
    return _BUCKET.fullmatch(name) is not None


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Return the bucket and the key that an ``s3://`` address means; the reverse of :func:`s3_uri`.

    Raises:
        InvalidRequestError: not an ``s3://`` address, or one with a user or a port in it.
    """
    if not _is_s3(uri):
        raise InvalidRequestError(f"{uri!r} is not an s3:// address.")
    bucket, _, key = uri[len(_S3) :].partition("/")
    if not is_bucket(bucket):
        # not shown: it may be a password
        raise InvalidRequestError(
            "The s3:// address has no bucket's name: write it as in s3://recordings/2026/."
        )
    return bucket, key


def display_name(location: str | PurePath) -> str:
    """Return the last part of an address or path as text that any terminal, database and mail can hold.

    Korean is composed (NFC); bytes that are not UTF-8 and control characters become U+FFFD. For people only:
    two files may share a display name.
    """
    if isinstance(location, str):
        if _is_s3(location):
            return _shown(location.rstrip("/").rpartition("/")[2])
        location = _path(location)
    return _shown(location.name)


def display_path(uri: str, source: str) -> str:
    """Return the address of a file as a path within its source, written as ``display_name`` writes names."""
    if _is_s3(uri):
        # slashes are characters of a key, and two in a row are not one
        prefix = source.rstrip("/") + "/"
        return _shown(uri.removeprefix(prefix))
    path, folder = _path(uri), _path(source)
    within = path.relative_to(folder) if path.is_relative_to(folder) else path
    return "/".join(display_name(PurePath(part)) for part in within.parts)


def _shown(text: str) -> str:
    decoded = os.fsencode(text).decode("utf-8", errors="replace")
    shown = "".join("\ufffd" if unicodedata.category(char) == "Cc" else char for char in decoded)
    return unicodedata.normalize("NFC", shown)


def _is_s3(address: str) -> bool:
    return address[: len(_S3)].lower() == _S3


def _path(address: str) -> PurePath:
    return path_from_uri(address) if address.startswith(_FILE) else PurePath(address)
