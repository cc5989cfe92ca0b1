"""A folder of this machine as a source. Nothing here follows a link out of it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from stt_pipeline.audio.patterns import FilePattern
from stt_pipeline.audio.sources import SourceObject
from stt_pipeline.audio.uris import display_name, file_uri, path_from_uri
from stt_pipeline.errors import DownloadError, InvalidRequestError


class LocalFolder:
    """A folder of this machine.

    What lies outside stays outside: a symlink counts only if it is to a file within the folder, and linked folders are
    not entered. Memory is bounded by the matching names of one folder at a time (for each level of depth).
    """

    def __init__(self, folder: Path, pattern: FilePattern) -> None:
        """Check that ``folder`` can be listed.

        Raises:
            InvalidRequestError: it does not exist, is not a folder, or may not be read.
        """
        if not _can_be_a_path(folder):
            raise InvalidRequestError(f"{str(folder)!r} contains characters that no path can hold.")
        # normpath, not resolve: a folder reached through a link keeps the address that people know
        self._folder = Path(os.path.normpath(folder.absolute()))
        self._pattern = pattern
        with _listing(self._folder):
            pass
        self._inside = self._folder.resolve()

    @property
    def uri(self) -> str:
        """The folder's address."""
        return file_uri(self._folder)

    @property
    def unsettled(self) -> int:
        """See :meth:`Source.unsettled`."""
        return 0

    @property
    def real_path(self) -> Path:
        """Where the folder was when it was opened, with all links followed: nothing outside is listed or lent."""
        return self._inside

    def list_objects(self, after: str = "", *, wait: bool = False) -> Iterator[SourceObject]:
        """See :meth:`Source.list_objects`."""
        return self._walk(self._folder, "")

    def browse(self) -> Iterator[SourceObject | None]:
        """See :meth:`Source.browse`."""
        folders = [(self._folder, "")]
        while folders:
            folder, prefix = folders.pop()
            if not self._is_inside(folder):
                continue
            with _listing(folder) as entries:
                for entry in entries:
                    found = None
                    if entry.is_dir(follow_symlinks=False):
                        if not entry.name.startswith("."):
                            folders.append((folder / entry.name, f"{prefix}{entry.name}/"))
                    elif self._pattern.matches(prefix + entry.name):
                        found = self._describe(folder / entry.name)
                    yield found

    def matches(self, uri: str) -> bool:
        """See :meth:`Source.matches`."""
        path = path_from_uri(uri)
        return path.is_relative_to(self._folder) and self._pattern.matches(
            path.relative_to(self._folder).as_posix()
        )

    @contextmanager
    def local_copy(self, uri: str, etag: str = "") -> Iterator[Path]:
        """See :meth:`Source.local_copy`; a local file is lent as it is."""
        path = path_from_uri(uri)
        if not (path.is_relative_to(self._folder) and self._is_inside(path)):
            raise InvalidRequestError(f"{uri} is not inside the source {self.uri}.")
        name = display_name(path)
        if not path.is_file():
            raise DownloadError(
                f"{name} is no longer in the source: {uri}. Put it back, or take in the source again."
            )
        if not os.access(path, os.R_OK):
            raise DownloadError(
                f"{name} may not be read by this user: {uri}. Give read permission and try again."
            )
        yield path

    def _walk(self, folder: Path, prefix: str) -> Iterator[SourceObject]:
        if not self._is_inside(folder):  # a link has taken its place since it was listed
            return
        # a folder sorts as "name/", so that the whole listing is in order of path, as a bucket's is
        names = []
        with _listing(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith("."):
                        names.append(entry.name + "/")
                elif self._pattern.matches(prefix + entry.name):
                    names.append(entry.name)
        names.sort()
        for name in names:
            if name.endswith("/"):
                yield from self._walk(folder / name, prefix + name)
            elif (found := self._describe(folder / name)) is not None:
                yield found

    def _describe(self, path: Path) -> SourceObject | None:
        """Return what is known of ``path``, or None for what is not a file of this folder or has just gone."""
        try:
            if path.is_symlink() and not self._is_inside(path):
                return None
            status = path.stat()
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        modified_at = datetime.fromtimestamp(status.st_mtime, tz=timezone.utc)
        return SourceObject(file_uri(path), status.st_size, _etag(status), modified_at)

    def _is_inside(self, path: Path) -> bool:
        # 3.13 raises OSError for a loop of links where older versions raise RuntimeError
        try:
            return path.resolve().is_relative_to(self._inside)
        except (OSError, RuntimeError):
            return False


def _can_be_a_path(path: Path) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def _etag(status: os.stat_result) -> str:
    """Return a stand-in for the checksum that buckets have: a rewritten file differs in size or in time."""
    return f"{status.st_size:x}-{status.st_mtime_ns:x}"


@contextmanager
def _listing(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    shown = os.fsencode(folder).decode("utf-8", errors="replace")
    try:
        entries = os.scandir(folder)
    except FileNotFoundError as error:
        raise InvalidRequestError(f"The folder {shown} does not exist: check the path.") from error
    except NotADirectoryError as error:
        raise InvalidRequestError(
            f"{shown} is a file, not a folder: give the folder it is in, and its name as the file pattern."
        ) from error
    except OSError as error:
        raise InvalidRequestError(
            f"The folder {shown} cannot be listed ({error.strerror}): give this user read permission."
        ) from error
    with entries:
        yield entries
