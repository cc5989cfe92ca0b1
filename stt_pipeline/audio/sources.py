"""Where audio is, in general: a source lists its objects one by one and lends each as a file on this machine.

The kinds of sources are in ``folder``, ``s3`` and ``listed``; ``opening`` makes one from an address. Listing never opens
audio; what an object holds is for ``probe`` to say.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

LONGEST_ADDRESS = 2_000
"""Bytes of an object's address: Postgres indexes it with its etag, up to some 2,700 bytes together."""


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One object as listed: ``size`` in bytes, ``etag`` changes when the content does.

    ``modified_at`` is when the content was written or came here, whatever is later, in UTC.
    """

    uri: str
    size: int
    etag: str
    modified_at: datetime


class Source(Protocol):
    """A folder or bucket prefix, and the pattern of the objects that are meant."""

    @property
    def uri(self) -> str:
        """The source's own address: opens the same source from any working folder."""
        ...

    @property
    def in_progress_count(self) -> int:
        """How many objects the last listing left out because they were still being written."""
        ...

    def list_objects(self, after: str = "", *, wait: bool = False) -> Iterator[SourceObject]:
        """Yield the matching objects one by one; memory does not grow with their number.

        They are ordered by path, but for files that had to be waited for, which come last, and for a list of files, which
        has an order of its own.

        Args:
            after: address of an object, which need not exist any more: only what sorts behind it is listed.
            wait: take the time of a whole listing: fetch ahead, and look again, at the end and after a while, at what is
                still being written. Otherwise that is left out, for a later listing to find.

        Raises:
            InvalidRequestError: the source, or a folder of it, cannot be listed.
            SourceUnavailableError: it does not answer at the moment.
        """
        ...

    def iter_unordered(self) -> Iterator[SourceObject | None]:
        """Yield the matching objects as they are found, in no order, and None for each other name that is passed.

        For a look at a source that must end in time: unlike a listing, it waits for no folder to be read in full.

        Raises:
            InvalidRequestError: as for :meth:`list_objects`.
            SourceUnavailableError: as for :meth:`list_objects`.
        """
        ...

    def matches(self, uri: str) -> bool:
        """Say whether ``uri`` is an address within the source, and of a name that is meant; nothing is looked up."""
        ...

    def open_local(self, uri: str, etag: str = "") -> AbstractContextManager[Path]:
        """Lend the object at ``uri`` as a readable local file, which the borrower must not change.

        Args:
            etag: of the object as it was listed; one with another content is not lent. Empty lends any.

        Raises:
            DownloadError: the source cannot deliver it, or it has changed.
            InvalidRequestError: ``uri`` is not an address of this source.
            ConfigurationError: nothing can be read, as with wrong credentials.
        """
        ...


OpenSource = Callable[[str, str], Source]
"""Gives the source for an address and a pattern."""
