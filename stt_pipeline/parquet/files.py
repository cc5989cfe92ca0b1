"""Files of the data folder, on a disk or in S3: where the folder is, and reading, writing and deleting in it.

A file is there as a whole or not at all, whoever reads while it is written. What is in the files is not known here.
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

from stt_pipeline.audio.opening import expanded
from stt_pipeline.audio.s3_client import explanation
from stt_pipeline.audio.uris import path_from_uri
from stt_pipeline.errors import ConfigurationError, InvalidRequestError, SttError
from stt_pipeline.settings import Settings

if TYPE_CHECKING:
    from upath import UPath

# parts of an upload are held in memory; 10,000 of them are the most that S3 takes, so a file may have 160 GB
_UPLOAD_BYTES = 16 << 20

_SIDE_BY_SIDE = 16  # requests: each takes some 20 ms, most of it waiting


def data_folder(settings: Settings, address: str = "") -> UPath:
    """Return the folder at ``address``, or STT_DATA_URI's; nothing is opened yet.

    Args:
        settings: say how S3 is reached; credentials are found as by every AWS tool.
        address: a path, ``file:///path`` or ``s3://bucket/prefix``.

    Raises:
        ConfigurationError: another kind of address, or one that is not complete.
    """
    from upath import UPath

    given, address = address, address or settings.data_root
    scheme, separator, rest = address.partition("://")
    scheme = scheme.lower()
    if not separator or scheme == "file":
        try:
            path = path_from_uri(address) if separator else expanded(address)
        except InvalidRequestError as error:
            raise ConfigurationError(f"Files cannot go there. {error}") from error
        # what a person gives is shown to them as they gave it
        local: UPath = UPath(path if given else path.absolute())
        return local
    if scheme != "s3":
        raise ConfigurationError(
            f"{address!r}: files cannot go to {scheme}://. Give a path, file:///path or s3://bucket/prefix."
        )
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise ConfigurationError(f"{address!r} names no bucket: write s3://bucket/prefix.")
    if "::" in rest:
        # the filesystem library would take it for two addresses, and write to the first
        raise ConfigurationError(
            f"{address!r}: files cannot go to a prefix with '::' in it. Give another one."
        )
    if settings.s3_endpoint_url and not settings.s3_endpoint_url.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"STT_S3_ENDPOINT_URL is {settings.s3_endpoint_url!r}: write http:// or https:// first."
        )
    options: dict[str, Any] = {"use_listings_cache": False}  # others write there, too
    if settings.s3_endpoint_url:
        options["endpoint_url"] = settings.s3_endpoint_url
    if settings.s3_profile:
        options["profile"] = settings.s3_profile
    if settings.s3_region:
        options["client_kwargs"] = {"region_name": settings.s3_region}
    folder: UPath = UPath(f"s3://{bucket}/{prefix.strip('/')}", **options)
    return folder


def read(path: UPath) -> bytes:
    """Return a file as it was at one moment.

    Raises:
        FileNotFoundError: it is not there.
        ConfigurationError: the folder cannot be read.
        SourceUnavailableError: S3 does not answer at the moment.
    """
    with explained(path, missing_is_known=True):
        try:
            if _is_local(path):
                return path.read_bytes()
            # one request: several side by side might mix an older file with the one that replaces it
            content: bytes = path.fs.cat_file(path.path, max_concurrency=1)
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error.__cause__
        return content


def read_each(paths: Iterable[UPath]) -> Iterator[bytes]:
    """Read some files side by side, all of which fit into memory, and yield them in order; errors as in :func:`read`."""
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        yield from pool.map(read, paths)


def write(path: UPath, content: bytes) -> None:
    """Write a file in one move; errors as in :func:`written`."""
    if _is_local(path):
        with written(path) as file:
            file.write(content)
        return
    with explained(path):
        path.fs.pipe_file(path.path, content)


@contextmanager
def written(path: UPath) -> Iterator[IO[bytes]]:
    """Lend a file to write to, which takes its place when the block ends, and never does if an error ends it.

    Raises:
        ConfigurationError: the folder cannot be written.
        SourceUnavailableError: S3 does not answer at the moment.
    """
    with explained(path):
        if not _is_local(path):
            with _uploaded(path) as file:
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        # two runs may write the same file at once; a name may be as long as the disk allows
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
        # closing it would put half a file there, and so would its finalizer
        file.closed = True
        file.discard()
        raise


def sizes(folder: UPath) -> dict[UPath, int]:
    """Return the files of a folder in order of name, with their sizes in bytes; none if there is no folder."""
    return {folder / name: about["size"] for name, about in _listed(folder)}


def times(folder: UPath) -> list[float]:
    """Return when each file of a folder was last written, in seconds since 1970."""
    return [
        about["mtime"] if "mtime" in about else about["LastModified"].timestamp()
        for _, about in _listed(folder)
    ]


def _listed(folder: UPath) -> list[tuple[str, dict[str, Any]]]:
    with explained(folder):
        found = folder.fs.find(folder.path, detail=True)
    names = ((name.rpartition("/")[2], about) for name, about in found.items())
    # drafts begin with a dot
    return sorted((name, about) for name, about in names if not name.startswith("."))


def delete(path: UPath) -> None:
    """Delete a file; one that is not there is no error."""
    with explained(path):
        if _is_local(path):
            path.unlink(missing_ok=True)
        else:
            path.fs.rm_file(path.path)


def delete_folder(folder: UPath) -> None:
    """Delete a folder with all that is in it; one that is not there is no error."""
    with explained(folder):
        if _is_local(folder):
            if folder.exists():
                folder.rmdir(recursive=True)
            return
        # one by one: s3fs says nothing of those that a request to delete many could not
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            for _ in pool.map(folder.fs.rm_file, folder.fs.find(folder.path)):
                pass


def require_writable(folder: UPath) -> None:
    """Make sure that files can be written to and deleted from a folder, by doing it.

    Raises:
        ConfigurationError: it cannot be written.
        SourceUnavailableError: S3 does not answer at the moment.
    """
    path = folder / f".writable-{uuid.uuid4().hex}"
    write(path, b"stt_pipeline looks whether it can write here\n")
    delete(path)


@contextmanager
def explained(path: UPath, *, missing_is_known: bool = False) -> Iterator[None]:
    """Turn what a filesystem raises into an error that says what to do.

    Args:
        path: what is read or written.
        missing_is_known: let the error of a file that is not there pass.
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
        f"{error.filename or path} cannot be used: {error.strerror or error}. STT_DATA_URI says where files go."
    )


def _s3_problem(path: UPath, error: Exception) -> SttError:
    """Return what an error means; the data folder is a setting, so what cannot be done in it is a wrong one."""
    if _code(error) in ("NoSuchBucket", "404"):
        bucket = path.path.partition("/")[0]
        return ConfigurationError(
            f"There is no bucket {bucket!r}. Make it, or give another address; "
            "STT_S3_ENDPOINT_URL and STT_S3_REGION say where it is looked for."
        )
    # s3fs translates the errors of botocore to those of files, and keeps them as their cause
    cause = error.__cause__
    told = error if _is_botocores(error) or not isinstance(cause, Exception) else cause
    found = explanation(told, str(path))
    if isinstance(found, InvalidRequestError):
        return ConfigurationError(
            f"{found} To write there, they also need s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload."
        )
    return found
