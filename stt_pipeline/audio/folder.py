"""A folder of this machine as a source. Nothing here follows a link out of it."""

import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from stt_pipeline.audio.patterns import FilePattern
from stt_pipeline.audio.sources import LONGEST_ADDRESS, SourceObject
from stt_pipeline.audio.uris import display_name, file_uri, path_from_uri
from stt_pipeline.errors import DownloadError, InvalidRequestError

_log = logging.getLogger(__name__)

_SET_ASIDE_AT_MOST = 50_000  # paths of files that may still be growing


class LocalFolder:
    """A folder of this machine.

    What lies outside stays outside: a symlink counts only if it is to a file within the folder, and linked folders are
    not entered. Memory is bounded by the matching names of one folder at a time (for each level of depth).

    A file that is still being copied or recorded looks like any other. So one that was changed within the last
    ``quiet_period_seconds`` is not listed before it has been left alone for so long.
    """

    def __init__(self, folder: Path, pattern: FilePattern, quiet_period_seconds: float = 0.0) -> None:
        """Check that ``folder`` can be listed.

        Args:
            quiet_period_seconds: 0 takes every file as it is.

        Raises:
            InvalidRequestError: it does not exist, is not a folder, or may not be read.
        """
        if not _can_be_a_path(folder):
            raise InvalidRequestError(f"{str(folder)!r} contains characters that no path can hold.")
        # normpath, not resolve: a folder reached through a link keeps the address that people know
        self._folder = Path(os.path.normpath(folder.absolute()))
        self._pattern = pattern
        self._settle_seconds = quiet_period_seconds
        self._unsettled = 0
        with _listing(self._folder):
            pass
        self._inside = self._folder.resolve()

    @property
    def uri(self) -> str:
        """The folder's address."""
        return file_uri(self._folder)

    @property
    def in_progress_count(self) -> int:
        """See :meth:`Source.in_progress_count`."""
        return self._unsettled

    @property
    def real_path(self) -> Path:
        """Where the folder was when it was opened, with all links followed: nothing outside is listed or lent."""
        return self._inside

    def list_objects(self, after: str = "", *, wait: bool = False) -> Iterator[SourceObject]:
        """See :meth:`Source.list_objects`; what had to be waited for comes last."""
        self._unsettled = 0
        aside: list[_Changing] = []
        for path in self._walk(self._folder, "", self._within(after) if after else ""):
            status = self._status(path)
            if status is None:
                continue
            if not self._may_be_growing(status):
                yield _described(path, status)
            elif wait:
                aside.append(_Changing(path, status))
                if len(aside) == _SET_ASIDE_AT_MOST:
                    yield from self._settled(aside)
                    aside.clear()
            else:
                self._unsettled += 1
        yield from self._settled(aside)

    def iter_unordered(self) -> Iterator[SourceObject | None]:
        """See :meth:`Source.iter_unordered`."""
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
                        status = self._status(folder / entry.name)
                        found = _described(folder / entry.name, status) if status else None
                    yield found

    def matches(self, uri: str) -> bool:
        """See :meth:`Source.matches`."""
        path = path_from_uri(uri)
        return path.is_relative_to(self._folder) and self._pattern.matches(
            path.relative_to(self._folder).as_posix()
        )

    @contextmanager
    def open_local(self, uri: str, etag: str = "") -> Iterator[Path]:
        """See :meth:`Source.open_local`; a local file is lent as it is."""
        path = path_from_uri(uri)
        if not (path.is_relative_to(self._folder) and self._is_inside(path)):
            raise InvalidRequestError(f"{uri} is not inside the source {self.uri}.")
        check_file(path, etag)
        yield path

    def _within(self, uri: str) -> str:
        path = path_from_uri(uri)
        if not path.is_relative_to(self._folder):
            raise InvalidRequestError(f"{uri} is not inside the source {self.uri}.")
        return path.relative_to(self._folder).as_posix()

    def _walk(self, folder: Path, prefix: str, after: str) -> Iterator[Path]:
        """Yield the paths of matching names in order, but for those up to ``after``, which is relative to the source."""
        if not self._is_inside(folder):  # a link has taken its place since it was listed
            return
        # a folder sorts as "name/", so that the whole listing is in order of path, as a bucket's is
        names = []
        try:
            with _listing(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        name = entry.name + "/"
                        if not name.startswith(".") and (
                            prefix + name > after or after.startswith(prefix + name)
                        ):
                            names.append(name)
                    elif prefix + entry.name > after and self._pattern.matches(prefix + entry.name):
                        names.append(entry.name)
        except InvalidRequestError as error:
            if prefix and isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
                return  # it has gone since its own folder was listed
            raise
        names.sort()
        for name in names:
            if name.endswith("/"):
                yield from self._walk(folder / name, prefix + name, after)
            elif _can_be_kept(folder / name):
                yield folder / name

    def _status(self, path: Path) -> os.stat_result | None:
        """Return what is known of ``path``, or None for what is not a file of this folder or has just gone."""
        try:
            if path.is_symlink() and not self._is_inside(path):
                return None
            status = path.stat()
        except OSError:
            return None
        return status if stat.S_ISREG(status.st_mode) else None

    def _may_be_growing(self, status: os.stat_result) -> bool:
        # a copy may keep its original's time, and a recorder's clock may be ahead: the second time is this machine's own
        now = time.time()
        return (
            now - self._settle_seconds < status.st_mtime <= now
            or status.st_ctime > now - self._settle_seconds
        )

    def _settled(self, aside: "list[_Changing]") -> Iterator[SourceObject]:
        """Wait until all of ``aside`` has been quiet for long enough, yield what has been, and count the rest."""
        if aside:
            now = time.time()
            last = max(min(now, max(file.status.st_mtime, file.status.st_ctime)) for file in aside)
            time.sleep(max(0.0, last + self._settle_seconds - now))
        for file in aside:
            status = self._status(file.path)
            if status is None:
                continue
            if _etag(status) == _etag(file.status) and status.st_ctime_ns == file.status.st_ctime_ns:
                yield _described(file.path, status)
            else:
                self._unsettled += 1

    def _is_inside(self, path: Path) -> bool:
        # 3.13 raises OSError for a loop of links where older versions raise RuntimeError
        try:
            return path.resolve().is_relative_to(self._inside)
        except (OSError, RuntimeError):
            return False


def _can_be_kept(path: Path) -> bool:
    # each byte takes three in an address, if it is none of ASCII
    if 3 * len(os.fsencode(path)) <= LONGEST_ADDRESS or len(file_uri(path)) <= LONGEST_ADDRESS:
        return True
    _log.warning("%s is left out: its address has more than %d bytes.", display_name(path), LONGEST_ADDRESS)
    return False


@dataclass(frozen=True, slots=True)
class _Changing:
    """A file that was changed shortly before it was listed, as it was then."""

    path: Path
    status: os.stat_result


def describe_file(path: Path) -> SourceObject | None:
    """Return what a listing says of ``path``, links followed; None if it is no file, or is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return _described(path, status) if stat.S_ISREG(status.st_mode) else None


def check_file(path: Path, etag: str) -> None:
    """Check that ``path`` can be lent, as it was when it had ``etag`` (empty: as it is).

    Raises:
        DownloadError: it has gone or has changed, or may not be read.
    """
    name, uri = display_name(path), file_uri(path)
    if not path.is_file():
        raise DownloadError(
            f"{name} is no longer in the source: {uri}. Put it back, or take in the source again."
        )
    if not os.access(path, os.R_OK):
        raise DownloadError(
            f"{name} may not be read by this user: {uri}. Give read permission and try again."
        )
    if etag and _etag(path.stat()) != etag:
        raise DownloadError(f"{name} has changed since it was listed: {uri}. Take in the source again.")


def _described(path: Path, status: os.stat_result) -> SourceObject:
    # what is moved here keeps its time of writing
    modified_at = datetime.fromtimestamp(max(status.st_mtime, status.st_ctime), tz=timezone.utc)
    return SourceObject(file_uri(path), status.st_size, _etag(status), modified_at)


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
