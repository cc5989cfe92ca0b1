"""Read file lists: CSV, JSON Lines, Parquet, and the manifest of an S3 Inventory.

Rows are parsed and validated here. Whether an object exists, matches the pattern or is allowed is checked in
``manifest_source``.
"""

import csv
import gzip
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote_plus

from stt_pipeline.audio.address import Address
from stt_pipeline.audio.sources import LONGEST_ADDRESS
from stt_pipeline.errors import InvalidRequestError

LIST_ENDINGS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".parquet")
MANIFEST = "manifest.json"

_PARQUET_BATCH_ROWS = 5_000
_MAX_ROW_LENGTH = 1 << 20
_MAX_MANIFEST_BYTES = 64 << 20
_ETAG = re.compile(r'[^\x00-\x20"\ud800-\udfff]{1,200}')
_ROW_FORMAT = (
    "A row has uri, or bucket and key, and may have size (bytes), etag and last_modified (ISO 8601)."
)
_COLUMNS = (
    "uri",
    "bucket",
    "key",
    "size",
    "etag",
    "lastmodified",
    "lastmodifieddate",
    "islatest",
    "isdeletemarker",
)

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A row of a file list; missing values are None. ``place`` is the position of the row, for messages."""

    address: Address
    size: int | None
    etag: str | None
    modified_at: datetime | None
    place: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """The manifest of an S3 Inventory: the addresses of its data files, and how to read them."""

    files: list[Address]
    is_parquet: bool
    columns: list[str]


def is_file_list(address: str) -> bool:
    """Return whether an address or name is that of a file list, by its ending."""
    name = address.rpartition("/")[2].lower()
    return name == MANIFEST or name.endswith(LIST_ENDINGS)


def rows_of_list(path: Path, name: str) -> Iterator[ListedRow | None]:
    """Yield the rows of the list at ``path``; ``name`` gives its format and appears in messages.

    None stands for a row without an object, such as an empty line: a caller with a time limit can stop there, too.

    Raises:
        InvalidRequestError: the list is damaged, or a row is not valid.
    """
    kind = name.lower()
    with _reading(name):
        if kind.endswith(".parquet"):
            rows = _parquet(path, name)
        elif kind.removesuffix(".gz").endswith(".csv"):
            rows = _csv(path, name, None)
        else:
            rows = _json_lines(path, name)
        for place, values in rows:
            yield _row(values, place) if values is not None else None


def rows_of_inventory(path: Path, name: str, inventory: Inventory) -> Iterator[ListedRow | None]:
    """Yield the rows of one data file of an inventory: latest versions only; None for others and for delete markers.

    Raises:
        InvalidRequestError: as for :func:`rows_of_list`.
    """
    with _reading(name):
        rows = _parquet(path, name) if inventory.is_parquet else _csv(path, name, inventory.columns)
        for place, values in rows:
            if (
                values is None
                or _has_value(values, "islatest", "false")
                or _has_value(values, "isdeletemarker", "true")
            ):
                yield None
                continue
            if not inventory.is_parquet:
                # only CSV has URL-encoded keys (S3 User Guide, "Amazon S3 Inventory list")
                values = {**values, "key": unquote_plus(values.get("key") or "")}
            yield _row(values, place)


def read_manifest(path: Path, name: str) -> Inventory:
    """Return the content of the ``manifest.json`` of an S3 Inventory.

    Raises:
        InvalidRequestError: it is not such a manifest, or the format of its inventory is not supported.
    """
    with _reading(name):
        if path.stat().st_size > _MAX_MANIFEST_BYTES:
            raise InvalidRequestError(f"{name} is too large for a manifest of an S3 Inventory.")
        try:
            manifest = json.loads(path.read_bytes())
            file_format = str(manifest["fileFormat"]).upper()
            columns = [_column(title) for title in str(manifest["fileSchema"]).split(",")]
            bucket = str(manifest["destinationBucket"]).rpartition(":::")[2]
            files = [Address.parse(f"s3://{bucket}/{file['key']}") for file in manifest["files"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidRequestError(
                f"{name} is not the manifest of an S3 Inventory: it needs fileFormat, fileSchema, destinationBucket and "
                "files. Name another kind of list .csv, .jsonl or .parquet."
            ) from error
    if file_format not in ("CSV", "PARQUET"):
        raise InvalidRequestError(
            f"{name} belongs to an inventory in {file_format}: set the inventory's format to CSV or Parquet."
        )
    return Inventory(files, file_format == "PARQUET", columns)


def _csv(path: Path, name: str, columns: list[str] | None) -> Iterator[tuple[str, Values | None]]:
    with _opened(path, name) as file:
        lines = _Lines(file, name)
        reader = csv.reader(lines)
        if columns is None:
            header = next(reader, [])
            columns = [_column(title) for title in header]
            if "uri" not in columns and not {"bucket", "key"} <= set(columns):
                raise InvalidRequestError(
                    f"{name}, line 1: the header is missing, or it has neither uri nor bucket and key. {_ROW_FORMAT}"
                )
        for values in reader:
            lines.start_row()
            place = f"{name}, line {reader.line_num}"
            if values and len(values) != len(columns):
                raise InvalidRequestError(
                    f"{place}: {len(values)} values, but {len(columns)} columns. {_ROW_FORMAT}"
                )
            yield place, dict(zip(columns, values, strict=True)) if values else None


def _json_lines(path: Path, name: str) -> Iterator[tuple[str, Values | None]]:
    with _opened(path, name) as file:
        lines = _Lines(file, name)
        for line in lines:
            lines.start_row()
            place = f"{name}, line {lines.number}"
            if not line.strip():
                yield place, None
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InvalidRequestError(f"{place} is not JSON ({error}). {_ROW_FORMAT}") from error
            if not isinstance(values, dict):
                raise InvalidRequestError(f"{place} is not a JSON object. {_ROW_FORMAT}")
            yield place, {_column(title): value for title, value in values.items()}


def _parquet(path: Path, name: str) -> Iterator[tuple[str, Values | None]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            titles = [title for title in file.schema_arrow.names if _column(title) in _COLUMNS]
            number = 0
            for batch in file.iter_batches(_PARQUET_BATCH_ROWS, columns=titles):
                for values in batch.to_pylist():
                    number += 1
                    yield (
                        f"{name}, row {number}",
                        {_column(title): value for title, value in values.items()},
                    )
    except pa.ArrowException as error:
        raise InvalidRequestError(f"{name} cannot be read as Parquet ({error}): write it again.") from error


def _row(values: Values, place: str) -> ListedRow | None:
    """Return the row, or None for a folder."""
    try:
        address = _address(values)
        size = _value(values, "size")
        etag = _value(values, "etag")
        modified_at = _value(values, "lastmodified", "lastmodifieddate")
        row = ListedRow(
            address,
            _size(size) if size is not None else None,
            _etag(str(etag)) if etag is not None else None,
            _time(modified_at) if modified_at is not None else None,
            place,
        )
    except (ValueError, InvalidRequestError) as error:
        raise InvalidRequestError(f"{place}: {error} {_ROW_FORMAT}") from error
    if len(str(address).encode()) > LONGEST_ADDRESS:
        raise InvalidRequestError(
            f"{place}: the address has more than {LONGEST_ADDRESS:,} bytes. {_ROW_FORMAT}"
        )
    return row if address.key and not address.key.endswith("/") else None


def _etag(text: str) -> str:
    etag = text.strip('"')
    if not _ETAG.fullmatch(etag):
        raise ValueError(f"{text[:200]!a} is not an etag: copy it from S3, or leave it out.")
    return etag


def _address(values: Values) -> Address:
    uri = _value(values, "uri")
    if uri is None:
        bucket, key = _value(values, "bucket"), _value(values, "key")
        if bucket is None or key is None:
            raise ValueError("it has neither uri nor bucket and key.")
        uri = f"s3://{bucket}/{key}"
    uri = str(uri)
    uri.encode()  # raises for lone surrogates, which JSON can contain
    if uri.startswith("/"):
        uri = Path(uri).as_uri()
    scheme, separator, _ = uri.partition("://")
    if separator and scheme.lower() in ("file", "s3"):
        return Address.parse(uri)
    raise ValueError(f"{uri[:200]!r} is not an address: write s3://bucket/key or file:///path.")


def _value(values: Values, *columns: str) -> Any:
    """Return the first value that a row has in one of these columns, or None."""
    for column in columns:
        value = values.get(column)
        if value is not None and value != "":
            return value
    return None


def _has_value(values: Values, column: str, word: str) -> bool:
    return str(values.get(column, "")).strip().lower() == word


def _size(value: object) -> int:
    try:
        size = int(str(value))
    except ValueError:
        size = -1
    if not 0 <= size < 1 << 62:
        raise ValueError(f"{str(value)[:50]!r} is not a size in bytes.")
    return size


def _time(value: object) -> datetime:
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{str(value)[:50]!r} is not a time.") from None


def _column(title: str) -> str:
    """Normalize a column's name: inventories have LastModifiedDate, or last_modified_date in Parquet."""
    return "".join(title.split()).replace("_", "").lower()


def _opened(path: Path, name: str) -> "AbstractContextManager[IO[str]]":
    if name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


class _Lines(Iterator[str]):
    """The lines of a list. A row, which may have several lines in CSV, has a limit, so memory does not grow."""

    def __init__(self, file: IO[str], name: str) -> None:
        self.number = 0
        self._file = file
        self._name = name
        self._row_length = 0

    def __next__(self) -> str:
        line = self._file.readline(_MAX_ROW_LENGTH)
        if not line:
            raise StopIteration
        self.number += 1
        self._row_length += len(line)
        if self._row_length >= _MAX_ROW_LENGTH:
            raise InvalidRequestError(
                f"{self._name}, line {self.number}: the row is longer than {_MAX_ROW_LENGTH:,} characters."
            )
        return line

    def start_row(self) -> None:
        """Note that a row is complete, and the next line begins another one."""
        self._row_length = 0


@contextmanager
def _reading(name: str) -> Iterator[None]:
    import zlib

    try:
        yield
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"{name} is not UTF-8 text: save it as UTF-8.") from error
    except (csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidRequestError(f"{name} is damaged ({error}): write it again.") from error
    except OSError as error:
        raise InvalidRequestError(f"{name} cannot be read ({error.strerror or error}).") from error
