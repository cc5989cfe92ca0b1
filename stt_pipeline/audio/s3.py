"""A prefix of an S3 bucket as a source. Ordered listing is in ``s3_listing``, downloads are in ``s3_download``."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.address import Address
from stt_pipeline.audio.aws_errors import S3, aws_errors
from stt_pipeline.audio.patterns import FilePattern
from stt_pipeline.audio.s3_download import S3Objects
from stt_pipeline.audio.s3_listing import Entry, Prefix
from stt_pipeline.audio.sources import SourceObject
from stt_pipeline.errors import InvalidRequestError


def open_prefix(address: Address, pattern: FilePattern, access: SourceAccess) -> "S3Prefix":
    """Open a source of the kind ``s3``; see :class:`S3Prefix`."""
    return S3Prefix(address, pattern, S3Objects(access.s3, access.cache))


class S3Prefix:
    """The objects of a bucket below a prefix, which is treated as a folder: ``meet`` selects keys that begin with ``meet/``.

    Addresses are ``s3://bucket/`` and the key without encoding. A NUL character in a key is shown as U+FFFD, because no
    database stores it; such an object cannot be opened.
    """

    def __init__(self, address: Address, pattern: FilePattern, objects: S3Objects) -> None:
        """Check with one request that the prefix can be listed.

        Raises:
            InvalidRequestError: no such bucket, access is denied, or the address is that of an object.
            ConfigurationError: credentials, region or endpoint are wrong.
            SourceUnavailableError: no answer.
        """
        self._bucket = address.authority
        self._folder = address.folder
        self._prefix = f"{self._folder.key}/" if self._folder.key else ""
        self._pattern = pattern
        self._objects = objects
        with aws_errors(self.uri, S3):
            found = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
        is_folder = address.key.endswith("/") or not self._prefix
        if not found.get("Contents") and not is_folder and self._is_object(self._folder.key):
            raise InvalidRequestError(
                f"{address} is an object, not a prefix: give the prefix it is in, and its name as the file pattern."
            )

    @property
    def uri(self) -> str:
        """The prefix's address."""
        return str(self._folder)

    @property
    def in_progress_count(self) -> int:
        """Always 0: an object of a bucket is visible only when it is complete."""
        return 0

    def list_objects(self, after: str = "", *, wait: bool = False) -> Iterator[SourceObject]:
        """See :meth:`Source.list_objects`; in the order of the keys' UTF-8.

        With ``wait``, ranges of keys are listed in parallel.
        """
        # the key as it is: recorders do write U+FFFD. After a key with a real NUL, listed as U+FFFD, some objects can be missed
        start = self._key(after) if after else ""
        prefix = Prefix(self._client, self._bucket, self._prefix + self._pattern.literal_start)
        with aws_errors(self.uri, S3):
            if wait:
                for page in prefix.in_order(start, self._matching):
                    yield from page
            else:  # the caller may stop early, so no page is fetched ahead
                for entries, _ in prefix.pages(start):
                    yield from self._matching(entries)

    def iter_unordered(self) -> Iterator[SourceObject | None]:
        """See :meth:`Source.iter_unordered`."""
        prefix = Prefix(self._client, self._bucket, self._prefix)
        with aws_errors(self.uri, S3):
            for entries, _ in prefix.pages(""):
                for entry in entries:
                    yield self._object(entry) if self._matches_key(entry["Key"]) else None

    def matches(self, uri: str) -> bool:
        """See :meth:`Source.matches`."""
        address = Address.parse(uri)
        return self._has(address) and self._matches_key(address.key)

    @contextmanager
    def open_local(self, uri: str, etag: str = "") -> Iterator[Path]:
        """See :meth:`Source.open_local`; the object comes from the cache, or is downloaded into it."""
        key = self._key(uri)
        # clients resolve dots in a path, and would fetch another object
        if not key.startswith(self._prefix) or {".", ".."} & set(key.split("/")):
            raise InvalidRequestError(f"{uri} is not inside the source {self.uri}.")
        with self._objects.open(Address("s3", self._bucket, key), etag) as path:
            yield path

    @property
    def _client(self) -> Any:
        return self._objects.client()

    def _has(self, address: Address) -> bool:
        return (address.scheme, address.authority) == ("s3", self._bucket)

    def _key(self, uri: str) -> str:
        address = Address.parse(uri)
        if not self._has(address):
            raise InvalidRequestError(f"{uri} is not inside the source {self.uri}.")
        return address.key

    def _is_object(self, key: str) -> bool:
        from botocore.exceptions import ClientError

        with aws_errors(self.uri, S3):
            try:
                self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError:
                return False  # missing, or not readable with these credentials: then it is an empty prefix
        return True

    def _matching(self, entries: list[Entry]) -> list[SourceObject]:
        return [self._object(entry) for entry in entries if self._matches_key(entry["Key"])]

    def _matches_key(self, key: str) -> bool:
        # consoles create an empty object "name/" for a new folder
        return (
            key.startswith(self._prefix)
            and not key.endswith("/")
            and self._pattern.matches(key[len(self._prefix) :])
        )

    def _object(self, entry: Entry) -> SourceObject:
        return SourceObject(
            str(Address("s3", self._bucket, entry["Key"])),
            entry["Size"],
            entry["ETag"].strip('"'),
            entry["LastModified"].astimezone(UTC),
        )
