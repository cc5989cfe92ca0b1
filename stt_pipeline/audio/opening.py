"""Open the source at an address: the kind of source by the address's scheme, or a file list by its name."""

from collections.abc import Callable
from dataclasses import replace

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.address import Address
from stt_pipeline.audio.folder import LocalFiles
from stt_pipeline.audio.manifest_reader import is_file_list
from stt_pipeline.audio.manifest_source import ManifestSource
from stt_pipeline.audio.patterns import DEFAULT_PATTERN, FilePattern
from stt_pipeline.audio.s3_download import S3Objects
from stt_pipeline.audio.sources import ObjectReader, Source
from stt_pipeline.backends import SOURCES
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.settings import Settings


def open_source(
    source_path: str | Address,
    file_pattern: str = DEFAULT_PATTERN,
    access: SourceAccess | None = None,
    check: Callable[[Address], None] | None = None,
) -> Source:
    """Return the source at ``source_path``: a folder, a bucket's prefix, or a file list in either.

    Args:
        access: how sources are reached; None takes the settings of this process, without a quiet period.
        check: raises an InvalidRequestError if a file at an address is not allowed; a file list can contain any address.

    Raises:
        InvalidRequestError: the source does not exist, or the address or pattern is not valid.
        ConfigurationError: it cannot be opened with these credentials or settings.
        SourceUnavailableError: it does not answer.
    """
    pattern = FilePattern(file_pattern)
    address = source_address(source_path) if isinstance(source_path, str) else source_path
    if address.scheme not in SOURCES:
        raise InvalidRequestError(
            f"{str(source_path)!r}: {address.scheme}:// is not a known kind of source. Known kinds: {SOURCES.help()}."
        )
    access = access or replace(SourceAccess.of(Settings()), quiet_period_seconds=0.0)
    readers: dict[str, ObjectReader] = {"file": LocalFiles(), "s3": S3Objects(access.s3, access.cache)}
    is_missing = address.is_local and not address.path.is_file()
    if address.scheme in readers and is_file_list(address.key) and not is_missing:
        return ManifestSource(address, pattern, readers, check)
    opened: Source = SOURCES[address.scheme].load()(address, pattern, access)
    return opened


def source_address(text: str) -> Address:
    """Parse the address of a source as a user types it.

    Raises:
        InvalidRequestError: it is empty or not valid.
    """
    if not text.strip():
        raise InvalidRequestError(
            "The source is empty: give a folder, as in ./recordings or file:///data/meetings, or s3://bucket/prefix."
        )
    return Address.from_user(text)
