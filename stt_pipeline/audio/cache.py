"""Downloaded recordings on this machine's disk, bounded: the least recently used go first. Knows no source.

Processes and threads share one folder. Locks of files (``flock``) say who uses what, and end with their process: a file is
lent under a shared one, and removed only by who gets an exclusive one.

    size                     bytes taken or promised, the one figure that all processes agree on
    objects/<hash>/<name>    a whole object; its time of modification is when it was last lent
    drafts/<hash>-<random>   being downloaded; as large from the beginning as it will be
    once/<random>/<name>     there is no room for it in the cache: lent once and then removed
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

from stt_pipeline.audio.uris import display_name
from stt_pipeline.errors import ConfigurationError, DownloadError

_LONGEST_NAME = 200  # bytes; filesystems take 255
# making room goes on to this share, so that a full cache is not searched for each new object
_FILLED = 0.9


@dataclass(frozen=True, slots=True)
class Download:
    """An object on its way: ``size`` in bytes, known before the first of ``chunks``."""

    size: int
    chunks: Iterator[bytes]


class DownloadCache:
    """Objects by address and etag, in at most ``max_bytes`` under ``folder``; what is larger is lent and not kept."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    @contextmanager
    def lend(self, uri: str, etag: str, download: Callable[[], Download]) -> Iterator[Path]:
        """Lend the object as a file, which keeps its name, from the cache if it is there.

        Args:
            download: begins a download; called once even if several threads and processes want the object.

        Raises:
            DownloadError: the disk is full; also what ``download`` raises.
            ConfigurationError: the folder cannot be written.
        """
        name = _file_name(uri)
        digest = hashlib.sha256(f"{uri}\n{etag}".encode("utf-8", "surrogatepass")).hexdigest()[:40]
        target = self._folder / "objects" / digest / name
        with ExitStack() as lent:
            with _disk_errors(name, self._folder):
                path = self._kept(target, lent)
                if path is None:
                    for kind in ("objects", "drafts", "once"):
                        (self._folder / kind).mkdir(parents=True, exist_ok=True)
                    with _alone(self._folder / "drafts" / f"{digest}.lock"):
                        path = self._kept(target, lent) or self._fetched(target, download, lent)
            yield path

    def _kept(self, target: Path, lent: ExitStack) -> Path | None:
        """Return the object if the cache has it; it stays until ``lent`` is closed."""
        try:
            file = lent.enter_context(target.open("rb"))
        except FileNotFoundError:
            return None
        fcntl.flock(file, fcntl.LOCK_SH)
        if not _is_at(file, target):  # removed just before it was locked
            return None
        with suppress(PermissionError):
            os.utime(target)
        return target

    def _fetched(self, target: Path, download: Callable[[], Download], lent: ExitStack) -> Path:
        """Download the object into the cache, or beside it if there is no room; lent until ``lent`` is closed."""
        coming = download()
        with ExitStack() as failed:
            with self._taken() as ledger:
                is_kept = self._promise(ledger, coming.size)
                if is_kept:
                    draft = self._folder / "drafts" / f"{target.parent.name}-{token_hex(4)}"
                    failed.callback(self._give_back, draft, coming.size)
                else:
                    draft = Path(tempfile.mkdtemp(dir=self._folder / "once")) / target.name
                    lent.callback(shutil.rmtree, draft.parent, ignore_errors=True)
                file = lent.enter_context(draft.open("wb"))
                # before anybody else may make room, and take it for a dead one's
                fcntl.flock(file, fcntl.LOCK_SH)
                os.truncate(file.fileno(), coming.size)
            for chunk in coming.chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())  # after a power failure a whole file must not be one of zeros
            failed.pop_all()
        return _moved(draft, target) if is_kept else draft

    def _promise(self, ledger: BinaryIO, size: int) -> bool:
        """Note ``size`` bytes for a download, and make room for them; False if there is none."""
        if size > self._max_bytes:
            return False
        taken = _read(ledger)
        if taken is None or taken + size > self._max_bytes:
            taken = self._make_room(size)
        fits = taken + size <= self._max_bytes
        _write(ledger, taken + size if fits else taken)
        return fits

    def _give_back(self, draft: Path, size: int) -> None:
        with self._taken() as ledger:
            draft.unlink(missing_ok=True)  # who counts what is there must not find one without the other
            taken = _read(ledger)
            if taken is not None:
                _write(ledger, max(0, taken - size))

    @contextmanager
    def _taken(self) -> Iterator[BinaryIO]:
        with (self._folder / "size").open("a+b") as ledger:
            fcntl.flock(ledger, fcntl.LOCK_EX)
            yield ledger

    def _make_room(self, size: int) -> int:
        """Remove what dead processes left, and the least recently used objects; return the bytes that stay."""
        drafts = self._folder / "drafts"
        for leftover in (*_inside(drafts), *_one_deeper(self._folder / "once")):
            _remove_unless_used(leftover)
        taken = sum(_status(draft)[1] for draft in _inside(drafts))
        objects = sorted((*_status(path), path) for path in _one_deeper(self._folder / "objects"))
        taken += sum(length for _, length, _ in objects)
        enough = min(self._max_bytes - size, int(_FILLED * self._max_bytes))
        for _, length, path in objects:
            if taken <= enough:
                break
            if _remove_unless_used(path):
                taken -= length
        return taken


def _file_name(uri: str) -> str:
    """Return the object's own name for messages, and its ending for FFmpeg, as any filesystem takes it."""
    name = display_name(uri)
    stem, dot, ending = name.rpartition(".")
    room = _LONGEST_NAME - len(f".{ending}".encode()) if dot else 0
    if not dot or room < _LONGEST_NAME // 2:
        stem, dot, ending, room = name, "", "", _LONGEST_NAME
    short = stem.encode()[:room].decode("utf-8", "ignore")
    return f"{short}{dot}{ending}"


def _moved(draft: Path, target: Path) -> Path:
    while True:
        target.parent.mkdir(exist_ok=True)
        try:
            return draft.rename(target)
        except FileNotFoundError:  # its folder was empty for a moment, and has been removed
            if not draft.exists():
                raise


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until nobody else, in any process, is within the same lock."""
    while True:
        with lock.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_at(file, lock):  # the one before has removed it
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
    """Remove a file, and its folder if that is empty then; False if somebody has it locked."""
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
    except (FileNotFoundError, NotADirectoryError):  # just removed by another
        return []


def _one_deeper(folder: Path) -> Iterator[Path]:
    return (path for inner in _inside(folder) for path in _inside(inner))


def _status(path: Path) -> tuple[int, int]:
    """Return (time of last use, bytes)."""
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


def _write(ledger: BinaryIO, taken: int) -> None:
    ledger.seek(0)
    ledger.truncate()
    ledger.write(b"%d" % taken)
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
            f"The download cache {folder} cannot be used ({error.strerror}): give this user the right to write there."
        ) from error
