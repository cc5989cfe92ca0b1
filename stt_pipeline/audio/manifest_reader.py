"""The rows of files that list objects: CSV, JSON lines, Parquet, and the manifest of an S3 Inventory.

What a row says is read and checked here; whether the object is there, meant or allowed is for ``listed`` to say.
"""

import csv
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote_plus

from stt_pipeline.audio.sources import LONGEST_ADDRESS
from stt_pipeline.audio.uris import bucket_and_key, file_uri, path_from_uri, s3_uri
from stt_pipeline.errors import InvalidRequestError

LIST_ENDINGS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".parquet")
MANIFEST = "manifest.json"

_ROWS_AT_A_TIME = 5_000  # of Parquet
_LONGEST_LINE = 1 << 20
_LARGEST_MANIFEST = 64 << 20
_ETAG = re.compile(r'[^\x00-\x20"\ud800-\udfff]{1,200}')
_NEEDED = "A row has uri, or bucket and key, and may have size (bytes), etag and last_modified (ISO 8601)."
_MEANT = (
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
class Row:
    """An object as a list names it; what the list does not say is None. ``place`` is where the row is, for messages."""

    uri: str
    size: int | None
    etag: str | None
    modified_at: datetime | None
    place: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the manifest of an S3 Inventory says: the addresses of its data files, and how to read them."""

    files: list[str]
    is_parquet: bool
    columns: list[str]


def is_list(address: str) -> bool:
    """Say whether an address or name is, by its ending, that of a list of files."""
    name = address.rpartition("/")[2].lower()
    return name == MANIFEST or name.endswith(LIST_ENDINGS)


def rows_of_list(path: Path, name: str) -> Iterator[Row]:
    """Yield the rows of the list at ``path``; ``name`` tells its kind, and is what messages call it.

    Raises:
        InvalidRequestError: the list is damaged, or a row says nothing that can be used.
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
            yield from _row(values, place)


def rows_of_inventory(path: Path, name: str, inventory: Inventory) -> Iterator[Row]:
    """Yield the rows of one data file of an inventory: newest versions only, without what was deleted.

    Raises:
        InvalidRequestError: as for :func:`rows_of_list`.
    """
    with _reading(name):
        rows = _parquet(path, name) if inventory.is_parquet else _csv(path, name, inventory.columns)
        for place, values in rows:
            if _says(values, "islatest", "false") or _says(values, "isdeletemarker", "true"):
                continue
            if not inventory.is_parquet:
                # in CSV alone keys are URL-encoded (S3 User Guide, "Amazon S3 Inventory list")
                values = {**values, "key": unquote_plus(values.get("key") or "")}
            yield from _row(values, place)


def read_manifest(path: Path, name: str) -> Inventory:
    """Return what the ``manifest.json`` of an S3 Inventory says.

    Raises:
        InvalidRequestError: it is another kind of file, or its inventory is in a format that is not read.
    """
    with _reading(name):
        if path.stat().st_size > _LARGEST_MANIFEST:
            raise InvalidRequestError(f"{name} is too large for a manifest of an S3 Inventory.")
        try:
            manifest = json.loads(path.read_bytes())
            file_format = str(manifest["fileFormat"]).upper()
            columns = [_column(title) for title in str(manifest["fileSchema"]).split(",")]
            bucket = str(manifest["destinationBucket"]).rpartition(":::")[2]
            files = [s3_uri(bucket, str(file["key"])) for file in manifest["files"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidRequestError(
                f"{name} is not the manifest of an S3 Inventory: it needs fileFormat, fileSchema, destinationBucket and "
                "files. Another list is to be named .csv, .jsonl or .parquet."
            ) from error
    if file_format not in ("CSV", "PARQUET"):
        raise InvalidRequestError(
            f"{name} is of an inventory in {file_format}: set the inventory's format to CSV or Parquet."
        )
    return Inventory(files, file_format == "PARQUET", columns)


def _csv(path: Path, name: str, columns: list[str] | None) -> Iterator[tuple[str, Values]]:
    with _opened(path, name) as file:
        reader = csv.reader(_lines(file, name))
        if columns is None:
            header = next(reader, [])
            columns = [_column(title) for title in header]
            if "uri" not in columns and not {"bucket", "key"} <= set(columns):
                raise InvalidRequestError(
                    f"{name}, line 1: the columns' names are missing, or none says where a file is. {_NEEDED}"
                )
        for values in reader:
            if values:
                place = f"{name}, line {reader.line_num}"
                if len(values) != len(columns):
                    raise InvalidRequestError(
                        f"{place}: {len(values)} values, where the columns are {len(columns)}. {_NEEDED}"
                    )
                yield place, dict(zip(columns, values, strict=True))


def _json_lines(path: Path, name: str) -> Iterator[tuple[str, Values]]:
    with _opened(path, name) as file:
        for number, line in enumerate(_lines(file, name), start=1):
            if not line.strip():
                continue
            place = f"{name}, line {number}"
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InvalidRequestError(f"{place} is not JSON ({error}). {_NEEDED}") from error
            if not isinstance(values, dict):
                raise InvalidRequestError(f"{place} is not an object in braces. {_NEEDED}")
            yield place, {_column(title): value for title, value in values.items()}


def _parquet(path: Path, name: str) -> Iterator[tuple[str, Values]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            titles = [title for title in file.schema_arrow.names if _column(title) in _MEANT]
            number = 0
            for batch in file.iter_batches(_ROWS_AT_A_TIME, columns=titles):
                for values in batch.to_pylist():
                    number += 1
                    yield (
                        f"{name}, row {number}",
                        {_column(title): value for title, value in values.items()},
                    )
    except pa.ArrowException as error:
        raise InvalidRequestError(f"{name} cannot be read as Parquet ({error}): write it again.") from error


def _row(values: Values, place: str) -> Iterator[Row]:
    """Yield what a row says, but for folders, which are no objects."""
    try:
        uri = _address(values)
        size = _value(values, "size")
        etag = _value(values, "etag")
        modified_at = _value(values, "lastmodified", "lastmodifieddate")
        row = Row(
            uri,
            _size(size) if size is not None else None,
            _etag(str(etag)) if etag is not None else None,
            _time(modified_at) if modified_at is not None else None,
            place,
        )
    except (ValueError, InvalidRequestError) as error:
        raise InvalidRequestError(f"{place}: {error} {_NEEDED}") from error
    if len(uri.encode()) > LONGEST_ADDRESS:
        raise InvalidRequestError(f"{place}: the address has more than {LONGEST_ADDRESS:,} bytes. {_NEEDED}")
    if not uri.endswith("/"):
        yield row


def _etag(text: str) -> str:
    etag = text.strip('"')
    if not _ETAG.fullmatch(etag):
        raise ValueError(f"{text[:200]!a} is no etag: copy it from S3, or leave it out.")
    return etag


def _address(values: Values) -> str:
    uri = _value(values, "uri")
    if uri is None:
        bucket, key = _value(values, "bucket"), _value(values, "key")
        if bucket is None or key is None:
            raise ValueError("it does not say where a file is.")
        uri = f"s3://{bucket}/{key}"
    uri = str(uri)
    uri.encode()  # JSON can hold halves of characters
    if uri.startswith("/"):
        uri = file_uri(Path(uri))
    if uri[:5].lower() == "s3://":
        return s3_uri(*bucket_and_key(uri))
    if uri[:7].lower() == "file://":
        return file_uri(path_from_uri(uri))
    raise ValueError(f"{uri[:200]!r} is not an address: write s3://bucket/key or file:///path.")


def _value(values: Values, *columns: str) -> Any:
    """Return what a row says under one of these names; None where it says nothing."""
    for column in columns:
        value = values.get(column)
        if value is not None and value != "":
            return value
    return None


def _says(values: Values, column: str, word: str) -> bool:
    return str(values.get(column, "")).strip().lower() == word


def _size(value: object) -> int:
    try:
        size = int(str(value))
    except ValueError:
        size = -1
    if not 0 <= size < 1 << 62:
        raise ValueError(f"{str(value)[:50]!r} is no size in bytes.")
    return size


def _time(value: object) -> datetime:
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return time.replace(tzinfo=time.tzinfo or timezone.utc).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise ValueError(f"{str(value)[:50]!r} is no time.") from None


def _column(title: str) -> str:
    """Return a column's name as it is looked up: inventories say LastModifiedDate, or last_modified_date in Parquet."""
    return "".join(title.split()).replace("_", "").lower()


def _opened(path: Path, name: str) -> "AbstractContextManager[IO[str]]":
    if name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _lines(file: IO[str], name: str) -> Iterator[str]:
    lines: Iterable[str] = iter(lambda: file.readline(_LONGEST_LINE), "")
    for number, line in enumerate(lines, start=1):
        if len(line) == _LONGEST_LINE:
            raise InvalidRequestError(f"{name}, line {number} is longer than {_LONGEST_LINE:,} characters.")
        yield line


@contextmanager
def _reading(name: str) -> Iterator[None]:
    import zlib

    try:
        yield
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"{name} is not text in UTF-8: save it as such.") from error
    except (csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidRequestError(f"{name} is damaged ({error}): write it again.") from error
    except OSError as error:
        raise InvalidRequestError(f"{name} cannot be read ({error.strerror or error}).") from error
