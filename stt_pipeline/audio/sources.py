"""The interface of audio sources: a source lists its objects and opens each as a local file.

The kinds of sources are in `SOURCES` of ``backends``, and ``memory`` has a fake for tests; ``opening`` opens a source by its
address. Listing never opens audio: ``probe`` reads its properties.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from stt_pipeline.audio.address import Address

LONGEST_ADDRESS = 2_000
"""Bytes of an object's address. Postgres indexes it together with the etag, and an index entry has at most 2,700 bytes."""


@dataclass(frozen=True, slots=True)
class SourceObject:
    """An object as it is listed.

    Attributes:
        uri: its address.
        size: bytes.
        etag: changes when the content changes.
        modified_at: when the content was written or moved to the source, whichever is later, in UTC.
    """

    uri: str
    size: int
    etag: str
    modified_at: datetime


class Source(Protocol):
    """A folder, bucket prefix or file list, with a pattern that selects objects.

    The module of a registered kind may define ``example_source(objects)``: it stores the objects, given as names and bytes,
    and returns the address of a source that has them. The contract test calls it.
    """

    @property
    def uri(self) -> str:
        """The source's address; it opens the same source from any working folder."""
        ...

    @property
    def in_progress_count(self) -> int:
        """The number of objects that the last listing skipped because they were still being written."""
        ...

    def list_objects(self, after: str = "", *, wait: bool = False) -> Iterator[SourceObject]:
        """Yield the matching objects; memory does not grow with their number.

        They are ordered by path. Exceptions: files that were waited for come last, and a file list keeps its own order.

        Args:
            after: address of an object, which may not exist any more: only objects that sort after it are listed.
            wait: list everything: fetch ahead, and check files that are still being written again at the end. Without it,
                such files are skipped, and a later listing finds them.

        Raises:
            InvalidRequestError: the source, or a folder of it, cannot be listed.
            SourceUnavailableError: it does not answer at the moment.
        """
        ...

    def iter_unordered(self) -> Iterator[SourceObject | None]:
        """Yield the matching objects in any order, and None for each name that does not match, or row of a list without a name.

        For callers with a time limit: a listing reads and sorts a whole folder before it yields, this does not.

        Raises:
            InvalidRequestError: as for :meth:`list_objects`.
            SourceUnavailableError: as for :meth:`list_objects`.
        """
        ...

    def matches(self, uri: str) -> bool:
        """Return whether ``uri`` is an address within the source that matches the pattern; no request is made."""
        ...

    def open_local(self, uri: str, etag: str = "") -> AbstractContextManager[Path]:
        """Return the object at ``uri`` as a local file, which the caller must not change.

        Args:
            etag: as listed; an object with another etag is not opened. Empty opens the present content.

        Raises:
            DownloadError: the source cannot deliver it, or it has changed.
            InvalidRequestError: ``uri`` is not an address of this source.
            ConfigurationError: nothing can be read, for example with wrong credentials.
        """
        ...


OpenSource = Callable[[str, str], Source]
"""Opens the source for an address and a pattern."""


class ObjectReader(Protocol):
    """Reads single objects of one kind of source by their addresses, for file lists."""

    def describe(self, address: Address) -> SourceObject:
        """Return the object's properties, as a listing does.

        Raises:
            InvalidRequestError: the object does not exist, or access is denied.
            ConfigurationError: nothing can be read, for example with wrong credentials.
            SourceUnavailableError: no answer.
        """
        ...

    def open(self, address: Address, etag: str) -> AbstractContextManager[Path]:
        """Return the object as a local file; ``etag`` and errors as in :meth:`Source.open_local`."""
        ...
