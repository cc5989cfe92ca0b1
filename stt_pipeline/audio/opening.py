"""From an address to its source, and how sources outside this machine's folders are reached."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stt_pipeline.audio.cache import DownloadCache
from stt_pipeline.audio.folder import LocalFolder
from stt_pipeline.audio.manifest_reader import is_list
from stt_pipeline.audio.manifest_source import ListedFiles
from stt_pipeline.audio.patterns import DEFAULT_PATTERN, FilePattern
from stt_pipeline.audio.s3 import S3Prefix
from stt_pipeline.audio.s3_client import S3Client, client_of
from stt_pipeline.audio.sources import Source
from stt_pipeline.audio.uris import file_uri, path_from_uri
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class SourceAccess:
    """How sources are reached.

    Attributes:
        s3: gives the client of boto3 for S3, always the same one.
        cache: where downloaded objects are kept.
        quiet_period_seconds: a local file that changed so recently may still be growing; 0 takes all as they are.
    """

    s3: S3Client
    cache: DownloadCache
    quiet_period_seconds: float = 0.0

    @classmethod
    def of(cls, settings: Settings, s3: Callable[[], Any] | None = None) -> "SourceAccess":
        """Return the access that the settings describe; ``s3`` takes the place of their client."""
        return cls(
            S3Client(s3 or (lambda: client_of(settings))),
            DownloadCache(settings.cache_folder, settings.cache_bytes),
            settings.quiet_period_seconds,
        )

    @classmethod
    def for_somebody(cls, settings: Settings) -> "SourceAccess":
        """Return the same for a command or a request: who waits for it is told soon that a bucket does not answer."""
        return cls.of(settings, lambda: client_of(settings, somebody_waits=True))


def open_source(
    source_path: str,
    file_pattern: str = DEFAULT_PATTERN,
    access: SourceAccess | None = None,
    check: Callable[[str], None] | None = None,
) -> Source:
    """Return the source at ``source_path``: a folder, a bucket's prefix, or a list of files in either.

    Args:
        access: how sources are reached; None is as the settings of this process say, with files taken as they are.
        check: raises an InvalidRequestError for the address of a file that is not allowed, for a list may name any.

    Raises:
        InvalidRequestError: no such source, or the address or pattern is not valid.
        ConfigurationError: it cannot be reached with these credentials or settings.
        SourceUnavailableError: it does not answer.
    """
    pattern = FilePattern(file_pattern)
    scheme, separator, _ = source_path.partition("://")
    scheme = scheme.lower() if separator else "file"
    if not source_path.strip():
        raise InvalidRequestError(
            "The source is empty: give a folder, as in ./recordings or file:///data/meetings, or s3://bucket/prefix."
        )
    if scheme not in ("file", "s3"):
        raise InvalidRequestError(
            f"{source_path!r}: {scheme}:// is not a known kind of source; give a folder, file:///path or "
            "s3://bucket/prefix."
        )
    quiet_period_seconds = access.quiet_period_seconds if access is not None else 0.0
    if scheme == "file":
        folder = path_from_uri(source_path) if separator else expanded(source_path)
        if not (is_list(folder.name) and folder.is_file()):
            return LocalFolder(folder, pattern, quiet_period_seconds)
        source_path = file_uri(folder)
    access = access or SourceAccess.of(Settings())
    if is_list(source_path):
        return ListedFiles(source_path, pattern, access.s3, access.cache, check)
    return S3Prefix(source_path, pattern, access.s3, access.cache)


def expanded(path: str) -> Path:
    """Return the path that a person means by ``path``: ``~`` is a home.

    Raises:
        InvalidRequestError: nobody's home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InvalidRequestError(f"{path!r}: {error} Write the whole path.") from error
