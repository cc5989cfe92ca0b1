"""A file list as a source: an S3 Inventory, or a file with addresses of recordings. For buckets that are too large to list."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from stt_pipeline.audio.address import Address
from stt_pipeline.audio.manifest_reader import (
    MANIFEST,
    ListedRow,
    read_manifest,
    rows_of_inventory,
    rows_of_list,
)
from stt_pipeline.audio.patterns import FilePattern
from stt_pipeline.audio.sources import ObjectReader, SourceObject
from stt_pipeline.errors import DownloadError, InvalidRequestError, SourceUnavailableError

_PARALLEL_REQUESTS = 16
_ROWS_AT_A_TIME = 512


class ManifestSource:
    """The objects of a file list, in the list's order. The list is a local file or an object in S3.

    For a row without size or etag, the object's properties are requested. A missing object is listed with size 0 and without
    an etag, so that only its file fails when it is opened. A list can contain any address, so each is checked: when it is
    listed, and again when it is opened.
    """

    def __init__(
        self,
        address: Address,
        pattern: FilePattern,
        readers: Mapping[str, ObjectReader],
        check: Callable[[Address], None] | None = None,
    ) -> None:
        """Check that the list exists.

        Args:
            address: of the list; its name gives its format.
            pattern: for keys, or for local paths without their first slash.
            readers: by scheme; they read the list and its objects.
            check: raises an InvalidRequestError for an address that is not allowed. Without it, a local list can contain
                all addresses, and a list in S3, which others can write, only addresses in S3.

        Raises:
            InvalidRequestError: the list does not exist, or access is denied.
            ConfigurationError: credentials, region or endpoint are wrong.
            SourceUnavailableError: no answer.
        """
        self._address = address
        self._pattern = pattern
        self._readers = readers
        self._check = check or (_allow_all if address.is_local else _check_not_local)
        self._written_at = readers[address.scheme].describe(address).modified_at

    @property
    def uri(self) -> str:
        """The list's own address."""
        return str(self._address)

    @property
    def in_progress_count(self) -> int:
        """Always 0: a list contains complete objects only."""
        return 0

    def list_objects(self, after: str = "", *, wait: bool = False) -> Iterator[SourceObject]:
        """See :meth:`Source.list_objects`; in the list's order.

        If the list does not contain ``after``, all objects are listed.
        """
        rows = self._matching()
        if after and not any(str(row.address) == after for row in rows):
            rows = self._matching()
        with ThreadPoolExecutor(_PARALLEL_REQUESTS, thread_name_prefix="describe") as pool:
            while some := list(islice(rows, _ROWS_AT_A_TIME)):
                yield from pool.map(self._object, some)

    def iter_unordered(self) -> Iterator[SourceObject | None]:
        """See :meth:`Source.iter_unordered`."""
        for row in self._rows():
            yield self._object(row) if row and self._is_allowed(row) else None

    def matches(self, uri: str) -> bool:
        """Return whether a list could contain ``uri`` for this source; the list itself is not read."""
        address = Address.parse(uri)
        try:
            self._check(address)
        except InvalidRequestError:
            return False
        return self._matches(address)

    @contextmanager
    def open_local(self, uri: str, etag: str = "") -> Iterator[Path]:
        """See :meth:`Source.open_local`."""
        address = Address.parse(uri)
        self._check(address)
        with self._reader(address).open(address, etag) as path:
            yield path

    def _reader(self, address: Address) -> ObjectReader:
        try:
            return self._readers[address.scheme]
        except KeyError:
            raise InvalidRequestError(f"{address} is not inside the source {self.uri}.") from None

    def _matching(self) -> Iterator[ListedRow]:
        return (row for row in self._rows() if row and self._is_allowed(row))

    def _is_allowed(self, row: ListedRow) -> bool:
        """Return whether a row matches; a row that matches but is not allowed ends the listing with an error."""
        if not self._matches(row.address):
            return False
        try:
            self._check(row.address)
        except InvalidRequestError as error:
            raise InvalidRequestError(f"{row.place}: {error}") from error
        return True

    def _rows(self) -> Iterator[ListedRow | None]:
        """Yield the rows of the list, or of all data files of an inventory; None for a row without an object."""
        name = self._address.name
        with self._list_file(self._address) as path:
            if name.lower() != MANIFEST:
                yield from rows_of_list(path, name)
                return
            inventory = read_manifest(path, name)
        for address in inventory.files:
            with self._list_file(address) as path:
                yield from rows_of_inventory(path, address.name, inventory)

    @contextmanager
    def _list_file(self, address: Address) -> Iterator[Path]:
        """Open the list or one of its data files; an error that would fail one recording fails the listing here."""
        self._check(address)
        try:
            with self._reader(address).open(address, "") as path:
                yield path
        except DownloadError as error:
            is_wrong = error.__cause__ is None or isinstance(error.__cause__, InvalidRequestError)
            kind = InvalidRequestError if is_wrong else SourceUnavailableError
            raise kind(f"The list cannot be read. {error}") from error

    def _matches(self, address: Address) -> bool:
        return self._pattern.matches(address.key.removeprefix("/") if address.is_local else address.key)

    def _object(self, row: ListedRow) -> SourceObject:
        """Return the object of a row; a request is made if the row has no size or etag."""
        address = row.address
        found = SourceObject(str(address), row.size or 0, row.etag or "", row.modified_at or self._written_at)
        # the etag of a local file is this product's own, so that of the list is not used
        if row.size is not None and row.etag is not None and not address.is_local:
            return found
        try:
            return self._reader(address).describe(address)
        except InvalidRequestError:
            return replace(found, size=0, etag="")


def _allow_all(address: Address) -> None:
    pass


def _check_not_local(address: Address) -> None:
    if address.is_local:
        raise InvalidRequestError(
            f"{address} is a local file, and a list in S3 may contain only s3:// addresses: keep the list on this machine, "
            "or allow the file's folder in STT_ALLOWED_SOURCES."
        )
