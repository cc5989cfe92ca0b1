"""A local folder as a source. Links that lead out of the folder are not followed."""

import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.address import Address, display_name
from stt_pipeline.audio.patterns import FilePattern
from stt_pipeline.audio.sources import LONGEST_ADDRESS, SourceObject
from stt_pipeline.errors import DownloadError, InvalidRequestError

_log = logging.getLogger(__name__)

_MAX_WAITING = 50_000  # files in memory that may still be growing


def open_folder(address: Address, pattern: FilePattern, access: SourceAccess) -> "LocalFolder":
    """Open a source of the kind ``file``; see :class:`LocalFolder`."""
    return LocalFolder(address.path, pattern, access.quiet_period_seconds)


class LocalFolder:
    """A local folder and its subfolders.

    Nothing outside the folder is reachable: a symlink is listed only if it leads to a file within the folder, and linked
    folders are not entered. Memory is bounded by the matching names of one folder per level of depth.

    A file that is still being copied or recorded cannot be recognized. So a file is listed only when it has not changed for
    ``quiet_period_seconds``.
    """

    def __init__(
        self,
        folder: Path,
        pattern: FilePattern,
        quiet_period_seconds: float = 0.0,
        *,
        max_waiting: int = _MAX_WAITING,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Check that ``folder`` can be listed.

        Args:
            quiet_period_seconds: 0 lists every file.
            max_waiting: files that are waited for at once, which bounds memory.
            now: the clock of the files' times.
            sleep: waits for a number of seconds of that clock.

        Raises:
            InvalidRequestError: it does not exist, is not a folder, or may not be read.
        """
        if not _can_be_a_path(folder):
            raise InvalidRequestError(f"{str(folder)!r} contains characters that no path can hold.")
        # normpath, not resolve: a linked folder keeps the address that the user gave
        self._folder = Path(os.path.normpath(folder.absolute()))
        self._pattern = pattern
        self._quiet_seconds = quiet_period_seconds
        self._max_waiting = max_waiting
        self._now = now
        self._sleep = sleep
        self._in_progress = 0
        with _listing(self._folder):
            pass
        self._inside = self._folder.resolve()

    @property
    def uri(self) -> str:
        """The folder's address."""
        return str(Address.of_path(self._folder))

    @property
    def in_progress_count(self) -> int:
        """See :meth:`Source.in_progress_count`."""
        return self._in_progress

    @property
    def real_path(self) -> Path:
        """The folder with all links followed when the source was opened: nothing outside is listed or opened."""
        return self._inside

    def list_objects(self, after: str = "", *, wait: bool = False) -> Iterator[SourceObject]:
        """See :meth:`Source.list_objects`; files that were waited for come last."""
        self._in_progress = 0
        waiting: list[_Changing] = []
        for path in self._walk(self._folder, "", self._relative(after) if after else ""):
            status = self._status(path)
            if status is None:
                continue
            if not self._may_be_growing(status):
                yield _described(path, status)
            elif wait:
                waiting.append(_Changing(path, status))
                if len(waiting) == self._max_waiting:
                    yield from self._wait_for(waiting)
                    waiting.clear()
            else:
                self._in_progress += 1
        yield from self._wait_for(waiting)

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
        path = Address.parse(uri).path
        return path.is_relative_to(self._folder) and self._pattern.matches(
            path.relative_to(self._folder).as_posix()
        )

    @contextmanager
    def open_local(self, uri: str, etag: str = "") -> Iterator[Path]:
        """See :meth:`Source.open_local`; this is the file itself, not a copy."""
        path = Address.parse(uri).path
        if not (path.is_relative_to(self._folder) and self._is_inside(path)):
            raise InvalidRequestError(f"{uri} is not inside the source {self.uri}.")
        _check_file(path, etag)
        yield path

    def _relative(self, uri: str) -> str:
        path = Address.parse(uri).path
        if not path.is_relative_to(self._folder):
            raise InvalidRequestError(f"{uri} is not inside the source {self.uri}.")
        return path.relative_to(self._folder).as_posix()

    def _walk(self, folder: Path, prefix: str, after: str) -> Iterator[Path]:
        """Yield the paths of matching names in order, after ``after``, which is relative to the source."""
        if not self._is_inside(folder):  # a link replaced it since it was listed
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
                return  # it was removed since its parent was listed
            raise
        names.sort()
        for name in names:
            if name.endswith("/"):
                yield from self._walk(folder / name, prefix + name, after)
            elif _can_be_stored(folder / name):
                yield folder / name

    def _status(self, path: Path) -> os.stat_result | None:
        """Return the status of ``path``, or None if it is not a file of this folder or was just removed."""
        try:
            if path.is_symlink() and not self._is_inside(path):
                return None
            status = path.stat()
        except OSError:
            return None
        return status if stat.S_ISREG(status.st_mode) else None

    def _may_be_growing(self, status: os.stat_result) -> bool:
        # a copy can keep the time of its original, and a recorder's clock can be ahead: ctime is from this machine's clock
        now = self._now()
        return (
            now - self._quiet_seconds < status.st_mtime <= now or status.st_ctime > now - self._quiet_seconds
        )

    def _wait_for(self, files: "list[_Changing]") -> Iterator[SourceObject]:
        """Wait for the quiet period of all files; yield those that did not change, and count the others."""
        if files:
            now = self._now()
            last = max(min(now, max(file.status.st_mtime, file.status.st_ctime)) for file in files)
            self._sleep(max(0.0, last + self._quiet_seconds - now))
        for file in files:
            status = self._status(file.path)
            if status is None:
                continue
            if _etag(status) == _etag(file.status) and status.st_ctime_ns == file.status.st_ctime_ns:
                yield _described(file.path, status)
            else:
                self._in_progress += 1

    def _is_inside(self, path: Path) -> bool:
        # 3.13 raises OSError for a loop of links where older versions raise RuntimeError
        try:
            return path.resolve().is_relative_to(self._inside)
        except (OSError, RuntimeError):
            return False


def _can_be_stored(path: Path) -> bool:
    # a byte that is not ASCII becomes three in the address
    if 3 * len(os.fsencode(path)) <= LONGEST_ADDRESS or len(str(Address.of_path(path))) <= LONGEST_ADDRESS:
        return True
    _log.warning("%s is skipped: its address has more than %d bytes.", display_name(path), LONGEST_ADDRESS)
    return False


@dataclass(frozen=True, slots=True)
class _Changing:
    """A file that changed shortly before it was listed, and its status at that time."""

    path: Path
    status: os.stat_result


class LocalFiles:
    """Any files of this machine; links are followed."""

    def describe(self, address: Address) -> SourceObject:
        """See :meth:`ObjectReader.describe`."""
        try:
            status = address.path.stat()
        except OSError:
            status = None
        if status is None or not stat.S_ISREG(status.st_mode):
            raise InvalidRequestError(f"The file {address} does not exist: check the path.")
        return _described(address.path, status)

    @contextmanager
    def open(self, address: Address, etag: str) -> Iterator[Path]:
        """See :meth:`ObjectReader.open`; this is the file itself, not a copy."""
        _check_file(address.path, etag)
        yield address.path


def _check_file(path: Path, etag: str) -> None:
    """Raise a DownloadError if ``path`` is missing, has another etag (if one is given), or may not be read."""
    name, uri = display_name(path), str(Address.of_path(path))
    if not path.is_file():
        raise DownloadError(
            f"{name} is no longer in the source: {uri}. Put it back, or scan the source again."
        )
    if not os.access(path, os.R_OK):
        raise DownloadError(
            f"{name} may not be read by this user: {uri}. Give read permission and try again."
        )
    if etag and _etag(path.stat()) != etag:
        raise DownloadError(f"{name} has changed since it was listed: {uri}. Scan the source again.")


def _described(path: Path, status: os.stat_result) -> SourceObject:
    # a file that is moved here keeps its mtime
    modified_at = datetime.fromtimestamp(max(status.st_mtime, status.st_ctime), tz=UTC)
    return SourceObject(str(Address.of_path(path)), status.st_size, _etag(status), modified_at)


def _can_be_a_path(path: Path) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def _etag(status: os.stat_result) -> str:
    """Return a substitute for the checksum of S3: a rewritten file differs in size or in mtime."""
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
