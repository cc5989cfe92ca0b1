"""A size-limited LRU cache of downloaded objects on the local disk. It knows nothing about sources.

Processes and threads share one folder. File locks (``flock``) protect the entries, and the kernel releases them when a
process ends: a reader holds a shared lock, and a file is removed only under an exclusive lock.

    size                     bytes used and reserved, shared by all processes
    objects/<hash>/<name>    a complete object; its modification time is its last use
    drafts/<hash>-<random>   a download in progress; the file has its final size from the start
    once/<random>/<name>     an object that does not fit into the cache: used once, then removed
"""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from stt_pipeline.audio.address import display_name
from stt_pipeline.errors import ConfigurationError, DownloadError

_MAX_NAME_BYTES = 200  # filesystems allow 255
# eviction continues down to this share, so that a full cache is not searched for every new object
_EVICT_TO = 0.9


@dataclass(frozen=True, slots=True)
class Download:
    """A download in progress: ``size`` in bytes is known before the first of ``chunks``."""

    size: int
    chunks: Iterator[bytes]


class DownloadCache:
    """Keeps objects by address and etag, at most ``max_bytes`` under ``folder``. A larger object is not kept."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    @contextmanager
    def open(self, uri: str, etag: str, download: Callable[[], Download]) -> Iterator[Path]:
        """Return the object as a read-only file with the object's name, from the cache if possible.

        Args:
            download: starts a download; called once even if several threads and processes open the object.

        Raises:
            DownloadError: the disk is full; also any error of ``download``.
            ConfigurationError: the folder cannot be written.
        """
        name = _file_name(uri)
        digest = hashlib.sha256(f"{uri}\n{etag}".encode("utf-8", "surrogatepass")).hexdigest()[:40]
        target = self._folder / "objects" / digest / name
        with ExitStack() as in_use:
            with _disk_errors(name, self._folder):
                path = self._find(target, in_use)
                if path is None:
                    for kind in ("objects", "drafts", "once"):
                        (self._folder / kind).mkdir(parents=True, exist_ok=True)
                    with _exclusive(self._folder / "drafts" / f"{digest}.lock"):
                        path = self._find(target, in_use) or self._download(target, download, in_use)
            yield path

    def _find(self, target: Path, in_use: ExitStack) -> Path | None:
        """Return the object if it is cached; it is not removed before ``in_use`` is closed."""
        try:
            file = in_use.enter_context(target.open("rb"))
        except FileNotFoundError:
            return None
        fcntl.flock(file, fcntl.LOCK_SH)
        if not _is_at(file, target):  # removed just before the lock was taken
            return None
        with suppress(PermissionError):
            os.utime(target)
        return target

    def _download(self, target: Path, download: Callable[[], Download], in_use: ExitStack) -> Path:
        """Download the object into the cache, or beside it if it does not fit; see :meth:`_find` for ``in_use``."""
        started = download()
        with ExitStack() as failed:
            with self._locked_size() as ledger:
                is_kept = self._reserve(ledger, started.size)
                if is_kept:
                    draft = self._folder / "drafts" / f"{target.parent.name}-{token_hex(4)}"
                    failed.callback(self._release, draft, started.size)
                else:
                    draft = Path(tempfile.mkdtemp(dir=self._folder / "once")) / target.name
                    in_use.callback(shutil.rmtree, draft.parent, ignore_errors=True)
                file = in_use.enter_context(draft.open("wb"))
                # inside the ledger's lock: another process that evicts would take an unlocked draft for a leftover
                fcntl.flock(file, fcntl.LOCK_SH)
                os.truncate(file.fileno(), started.size)
            for chunk in started.chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())  # after a power failure, a file of full size must not contain zeros
            failed.pop_all()
        return _move(draft, target) if is_kept else draft

    def _reserve(self, ledger: BinaryIO, size: int) -> bool:
        """Reserve ``size`` bytes for a download, and evict if needed; False if they do not fit."""
        if size > self._max_bytes:
            return False
        used = _read(ledger)
        if used is None or used + size > self._max_bytes:
            used = self._evict(size)
        fits = used + size <= self._max_bytes
        _write(ledger, used + size if fits else used)
        return fits

    def _release(self, draft: Path, size: int) -> None:
        with self._locked_size() as ledger:
            draft.unlink(
                missing_ok=True
            )  # under the lock: an eviction counts files and must not see only half of this
            used = _read(ledger)
            if used is not None:
                _write(ledger, max(0, used - size))

    @contextmanager
    def _locked_size(self) -> Iterator[BinaryIO]:
        with (self._folder / "size").open("a+b") as ledger:
            fcntl.flock(ledger, fcntl.LOCK_EX)
            yield ledger

    def _evict(self, size: int) -> int:
        """Remove leftovers of dead processes and the least recently used objects; return the bytes that remain."""
        drafts = self._folder / "drafts"
        for leftover in (*_inside(drafts), *_one_deeper(self._folder / "once")):
            _remove_unless_used(leftover)
        used = sum(_status(draft)[1] for draft in _inside(drafts))
        objects = sorted((*_status(path), path) for path in _one_deeper(self._folder / "objects"))
        used += sum(length for _, length, _ in objects)
        enough = min(self._max_bytes - size, int(_EVICT_TO * self._max_bytes))
        for _, length, path in objects:
            if used <= enough:
                break
            if _remove_unless_used(path):
                used -= length
        return used


def _file_name(uri: str) -> str:
    """Return the object's name, shortened for the filesystem; messages show it, and FFmpeg uses the extension."""
    name = display_name(uri)
    stem, dot, ending = name.rpartition(".")
    room = _MAX_NAME_BYTES - len(f".{ending}".encode()) if dot else 0
    if not dot or room < _MAX_NAME_BYTES // 2:
        stem, dot, ending, room = name, "", "", _MAX_NAME_BYTES
    short = stem.encode()[:room].decode("utf-8", "ignore")
    return f"{short}{dot}{ending}"


def _move(draft: Path, target: Path) -> Path:
    while True:
        target.parent.mkdir(exist_ok=True)
        try:
            return draft.rename(target)
        except FileNotFoundError:  # its folder was empty for a moment, and another process removed it
            if not draft.exists():
                raise


@contextmanager
def _exclusive(lock: Path) -> Iterator[None]:
    """Hold a lock file that excludes all other threads and processes."""
    while True:
        with lock.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_at(file, lock):  # the previous holder removed it
                continue
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _remove_unless_used(path: Path) -> bool:
    """Remove a file, and its folder if that is empty then; False if the file is locked."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    if path.parent.name != "drafts":
        with suppress(OSError):
            path.parent.rmdir()
    return True


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # another process just removed it
        return []


def _one_deeper(folder: Path) -> Iterator[Path]:
    return (path for inner in _inside(folder) for path in _inside(inner))


def _status(path: Path) -> tuple[int, int]:
    """Return (time of last use in ns, bytes)."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _read(ledger: BinaryIO) -> int | None:
    ledger.seek(0)
    try:
        return int(ledger.read())
    except ValueError:
        return None


def _write(ledger: BinaryIO, used: int) -> None:
    ledger.seek(0)
    ledger.truncate()
    ledger.write(b"%d" % used)
    ledger.flush()


@contextmanager
def _disk_errors(name: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DownloadError(
                f"{name} does not fit on the disk of {folder} ({error.strerror}): free some space there, or lower "
                "STT_CACHE_BYTES."
            ) from error
        raise ConfigurationError(
            f"The download cache {folder} cannot be used ({error.strerror}): give this user write permission."
        ) from error
