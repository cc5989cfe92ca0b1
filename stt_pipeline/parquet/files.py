"""Files in the data folder, on a disk or in S3: opens the folder, and reads, writes and deletes files.

Writes are atomic: a reader sees the whole old file or the whole new one.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from stt_pipeline.audio.address import Address
from stt_pipeline.audio.aws_errors import explain
from stt_pipeline.errors import ConfigurationError, InvalidRequestError, SttError
from stt_pipeline.settings import Settings

if TYPE_CHECKING:
    from upath import UPath

# size of a part of an upload, which is in memory; S3 accepts 10,000 parts, so a file can have 160 GB
_UPLOAD_BYTES = 16 << 20

_SIDE_BY_SIDE = 16  # concurrent requests: each waits some 20 ms


def data_folder(settings: Settings, address: str = "") -> UPath:
    """Return the folder at ``address``, or at STT_DATA_URI if that is empty; opens nothing.

    Args:
        settings: endpoint, profile and region of S3; credentials come from the AWS configuration.
        address: a path, ``file:///path`` or ``s3://bucket/prefix``.

    Raises:
        ConfigurationError: the address has another scheme, or is incomplete.
    """
    from upath import UPath

    given, address = address, address or settings.data_root
    try:
        parsed = Address.from_user(address)
    except InvalidRequestError as error:
        raise ConfigurationError(f"Files cannot be written there. {error}") from error
    if parsed.is_local:
        # a relative path of a user is shown as the user gave it
        is_relative = given and "://" not in address
        local: UPath = UPath(Path(address).expanduser() if is_relative else parsed.path)
        return local
    if parsed.scheme != "s3":
        raise ConfigurationError(
            f"{address!r}: files cannot be written to {parsed.scheme}://. Use a path, file:///path or s3://bucket/prefix."
        )
    if "::" in parsed.key:
        # fsspec would read it as two chained addresses, and write to the first
        raise ConfigurationError(
            f"{address!r}: files cannot be written to a prefix with '::' in it. Use another prefix."
        )
    if settings.s3_endpoint_url and not settings.s3_endpoint_url.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"STT_S3_ENDPOINT_URL is {settings.s3_endpoint_url!r}. It must begin with http:// or https://."
        )
    options: dict[str, Any] = {"use_listings_cache": False}  # other processes write there, too
    if settings.s3_endpoint_url:
        options["endpoint_url"] = settings.s3_endpoint_url
    if settings.s3_profile:
        options["profile"] = settings.s3_profile
    if settings.s3_region:
        options["client_kwargs"] = {"region_name": settings.s3_region}
    folder: UPath = UPath(f"s3://{parsed.authority}/{parsed.key.strip('/')}", **options)
    return folder


def read(path: UPath) -> bytes:
    """Return the content of a file, never a mix of two versions.

    Raises:
        FileNotFoundError: the file does not exist.
        ConfigurationError: the folder cannot be read.
        SourceUnavailableError: S3 is unavailable.
    """
    with explained(path, missing_is_known=True):
        try:
            if _is_local(path):
                return path.read_bytes()
            # one request: concurrent ones could mix a file with the one that replaces it
            content: bytes = path.fs.cat_file(path.path, max_concurrency=1)
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error.__cause__
        return content


def read_each(paths: Iterable[UPath]) -> Iterator[bytes]:
    """Read files concurrently and yield their contents in order; all fit into memory. Raises like :func:`read`."""
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        yield from pool.map(read, paths)


def write(path: UPath, content: bytes) -> None:
    """Write a file atomically; raises like :func:`written`."""
    if _is_local(path):
        with written(path) as file:
            file.write(content)
        return
    with explained(path):
        path.fs.pipe_file(path.path, content)


@contextmanager
def written(path: UPath) -> Iterator[IO[bytes]]:
    """Yield a file to write to, which replaces ``path`` at the end of the block, and is discarded on an error.

    Raises:
        ConfigurationError: the folder cannot be written.
        SourceUnavailableError: S3 is unavailable.
    """
    with explained(path):
        if not _is_local(path):
            with _uploaded(path) as file:
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        # a unique name, because two runs may write the same file; a short one, because names have a maximum length
        draft = path.with_name(f".{uuid.uuid4().hex}")
        try:
            with draft.open("wb") as file:
                yield file
            draft.rename(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


@contextmanager
def _uploaded(path: UPath) -> Iterator[IO[bytes]]:
    file = path.fs.open(path.path, "wb", block_size=_UPLOAD_BYTES)
    try:
        yield file
        file.close()
    except BaseException:
        # close() and the finalizer would upload the incomplete file
        file.closed = True
        file.discard()
        raise


def sizes(folder: UPath) -> dict[UPath, int]:
    """Return the files of a folder in order of name, with their sizes in bytes; empty if the folder does not exist."""
    return {folder / name: about["size"] for name, about in _listed(folder)}


def times(folder: UPath) -> list[float]:
    """Return the modification time of each file of a folder, in seconds since 1970."""
    return [
        about["mtime"] if "mtime" in about else about["LastModified"].timestamp()
        for _, about in _listed(folder)
    ]


def _listed(folder: UPath) -> list[tuple[str, dict[str, Any]]]:
    with explained(folder):
        found = folder.fs.find(folder.path, detail=True)
    names = ((name.rpartition("/")[2], about) for name, about in found.items())
    # names of drafts begin with a dot
    return sorted((name, about) for name, about in names if not name.startswith("."))


def delete(path: UPath) -> None:
    """Delete a file, if it exists."""
    with explained(path):
        if _is_local(path):
            path.unlink(missing_ok=True)
        else:
            path.fs.rm_file(path.path)


def delete_folder(folder: UPath) -> None:
    """Delete a folder with its contents, if it exists."""
    with explained(folder):
        if _is_local(folder):
            if folder.exists():
                folder.rmdir(recursive=True)
            return
        # one request per file: s3fs reports no errors of bulk deletes
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            for _ in pool.map(folder.fs.rm_file, folder.fs.find(folder.path)):
                pass


def require_writable(folder: UPath) -> None:
    """Check that files can be written to and deleted from a folder, with a test file.

    Raises:
        ConfigurationError: the folder cannot be written.
        SourceUnavailableError: S3 is unavailable.
    """
    path = folder / f".writable-{uuid.uuid4().hex}"
    write(path, b"stt_pipeline checks that it can write here\n")
    delete(path)


@contextmanager
def explained(path: UPath, *, missing_is_known: bool = False) -> Iterator[None]:
    """Convert errors of the filesystem to errors that explain what to do.

    Args:
        path: the file that is read or written.
        missing_is_known: raise ``FileNotFoundError`` unchanged.
    """
    try:
        yield
    except OSError as error:
        if missing_is_known and isinstance(error, FileNotFoundError) and _code(error) != "NoSuchBucket":
            raise
        raise (_local_problem(path, error) if _is_local(path) else _s3_problem(path, error)) from error
    except Exception as error:
        if _is_local(path) or not _is_botocores(error):
            raise
        raise _s3_problem(path, error) from error


def _is_local(path: UPath) -> bool:
    return isinstance(path, Path)


def _is_botocores(error: BaseException) -> bool:
    return type(error).__module__.startswith(("botocore.", "aiobotocore."))


def _code(error: BaseException) -> str:
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _local_problem(path: UPath, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{error.filename or path} cannot be used: {error.strerror or error}. Check STT_DATA_URI."
    )


def _s3_problem(path: UPath, error: Exception) -> SttError:
    """Return the error to raise; the data folder is a setting, so a refused request is a ``ConfigurationError``."""
    if _code(error) in ("NoSuchBucket", "404"):
        bucket = path.path.partition("/")[0]
        return ConfigurationError(
            f"The bucket {bucket!r} does not exist. Create it or use another address, and check STT_S3_ENDPOINT_URL and "
            "STT_S3_REGION."
        )
    # s3fs converts errors of botocore to OSError, with the original as the cause
    cause = error.__cause__
    told = error if _is_botocores(error) or not isinstance(cause, Exception) else cause
    found = explain(told, str(path))
    if isinstance(found, InvalidRequestError):
        return ConfigurationError(
            f"{found} Writing also needs s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload."
        )
    return found
