"""A list of objects as a source: an S3 Inventory, or a file that names recordings. For buckets too large to list."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path

from stt_pipeline.audio.cache import DownloadCache
from stt_pipeline.audio.folder import check_file, describe_file
from stt_pipeline.audio.manifest_reader import MANIFEST, Row, read_manifest, rows_of_inventory, rows_of_list
from stt_pipeline.audio.patterns import FilePattern
from stt_pipeline.audio.s3 import cached_object
from stt_pipeline.audio.s3_client import S3Client, look_up, s3_errors
from stt_pipeline.audio.sources import SourceObject
from stt_pipeline.audio.uris import bucket_and_key, display_name, file_uri, path_from_uri
from stt_pipeline.errors import DownloadError, InvalidRequestError, SourceUnavailableError

_LOOKED_UP_AT_ONCE = 16
_ROWS_AT_A_TIME = 512


class ListedFiles:
    """What a list of files names, in the list's order. The list may be a local file or an object in S3.

    A row without a size or etag is looked up. What is not there is listed all the same, with size 0 and no etag, so that
    it fails by itself when it is read. A list may name anything, so each address is checked: when it is listed, and again
    when it is lent.
    """

    def __init__(
        self,
        address: str,
        pattern: FilePattern,
        client: S3Client,
        cache: DownloadCache,
        check: Callable[[str], None] | None = None,
    ) -> None:
        """Check that the list is there.

        Args:
            address: of the list, ``file://`` or ``s3://``; its name tells its kind.
            pattern: of keys, or of local paths without their first slash.
            check: raises an InvalidRequestError for an address that is not allowed. Without it, a local list may name
                anything, and one in S3, which others may write, only objects in S3.

        Raises:
            InvalidRequestError: no such list, or it may not be read.
            ConfigurationError: credentials, region or endpoint are wrong.
            SourceUnavailableError: no answer.
        """
        self._pattern = pattern
        self._open_client = client
        self._cache = cache
        self._check = check or (_check_is_s3 if _is_s3(address) else lambda uri: None)
        if _is_s3(address):
            bucket, key = bucket_and_key(address)
            self._uri = f"s3://{bucket}/{key}"
            with s3_errors(self._uri):
                found = look_up(client(), self._uri)
            self._written_at: datetime = found["LastModified"].astimezone(timezone.utc)
        else:
            path = path_from_uri(address)
            self._uri = file_uri(path)
            described = describe_file(path)
            if described is None:
                raise InvalidRequestError(f"The list {address} does not exist: check the path.")
            self._written_at = described.modified_at

    @property
    def uri(self) -> str:
        """The list's own address."""
        return self._uri

    @property
    def in_progress_count(self) -> int:
        """0: a list names what is complete."""
        return 0

    def list_objects(self, after: str = "", *, wait: bool = False) -> Iterator[SourceObject]:
        """See :meth:`Source.list_objects`; in the list's order.

        All is listed if the list does not have ``after``.
        """
        rows = self._meant()
        if after and not any(row.uri == after for row in rows):
            rows = self._meant()
        with ThreadPoolExecutor(_LOOKED_UP_AT_ONCE, thread_name_prefix="lookup") as pool:
            while some := list(islice(rows, _ROWS_AT_A_TIME)):
                yield from pool.map(self._described, some)

    def iter_unordered(self) -> Iterator[SourceObject | None]:
        """See :meth:`Source.iter_unordered`."""
        for row in self._rows():
            yield self._described(row) if self._is_allowed(row) else None

    def matches(self, uri: str) -> bool:
        """Say whether a list could name ``uri`` for this source; whether it does, only its listing tells."""
        try:
            self._check(uri)
        except InvalidRequestError:
            return False
        return self._is_meant(uri)

    @contextmanager
    def open_local(self, uri: str, etag: str = "") -> Iterator[Path]:
        """See :meth:`Source.open_local`."""
        self._check(uri)
        with self._lent(uri, etag) as path:
            yield path

    @contextmanager
    def _lent(self, uri: str, etag: str) -> Iterator[Path]:
        if _is_s3(uri):
            with cached_object(self._open_client(), self._cache, uri, etag) as path:
                yield path
        else:
            path = path_from_uri(uri)
            check_file(path, etag)
            yield path

    def _meant(self) -> Iterator[Row]:
        return (row for row in self._rows() if self._is_allowed(row))

    def _is_allowed(self, row: Row) -> bool:
        """Say whether a row is meant; one that is, and is not allowed, ends the listing."""
        if not self._is_meant(row.uri):
            return False
        try:
            self._check(row.uri)
        except InvalidRequestError as error:
            raise InvalidRequestError(f"{row.place}: {error}") from error
        return True

    def _rows(self) -> Iterator[Row]:
        """Yield the rows of the list, or of all data files of an inventory."""
        name = display_name(self._uri)
        with self._list_file(self._uri) as path:
            if name.lower() != MANIFEST:
                yield from rows_of_list(path, name)
                return
            inventory = read_manifest(path, name)
        for uri in inventory.files:
            with self._list_file(uri) as path:
                yield from rows_of_inventory(path, display_name(uri), inventory)

    @contextmanager
    def _list_file(self, uri: str) -> Iterator[Path]:
        """Lend the list or a data file of it; what would fail one recording fails the listing here."""
        self._check(uri)
        try:
            with self._lent(uri, "") as path:
                yield path
        except DownloadError as error:
            is_wrong = error.__cause__ is None or isinstance(error.__cause__, InvalidRequestError)
            kind = InvalidRequestError if is_wrong else SourceUnavailableError
            raise kind(f"The list cannot be read. {error}") from error

    def _is_meant(self, uri: str) -> bool:
        path = bucket_and_key(uri)[1] if _is_s3(uri) else path_from_uri(uri).as_posix()[1:]
        return self._pattern.matches(path)

    def _described(self, row: Row) -> SourceObject:
        """Return the object of a row; looked up where the list does not say enough."""
        found = SourceObject(row.uri, row.size or 0, row.etag or "", row.modified_at or self._written_at)
        if not _is_s3(row.uri):
            # the etag of a local file is this product's own
            return describe_file(path_from_uri(row.uri)) or replace(found, size=0, etag="")
        if row.size is not None and row.etag is not None:
            return found
        try:
            with s3_errors(row.uri):
                answer = look_up(self._open_client(), row.uri)
        except InvalidRequestError:
            return replace(found, size=0, etag="")
        return SourceObject(
            row.uri,
            answer["ContentLength"],
            answer["ETag"].strip('"'),
            answer["LastModified"].astimezone(timezone.utc),
        )


def _check_is_s3(uri: str) -> None:
    if not _is_s3(uri):
        raise InvalidRequestError(
            f"{uri} is a file of this machine, and a list in S3 may name only s3:// addresses: keep the list on this machine, "
            "or allow the file's folder in STT_ALLOWED_SOURCES."
        )


def _is_s3(uri: str) -> bool:
    return uri[:5].lower() == "s3://"
