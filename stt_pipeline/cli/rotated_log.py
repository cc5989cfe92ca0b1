"""Writes what a supervised process prints to a log file of limited size, without colour codes.

It is a process of its own, of the standard library only: the supervised process could not write, and would stop, while a
supervisor with its pipe is stopped or killed. It ends when the last process with the pipe has ended.
"""

import re
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 10 << 20
OLD_FILES = 4  # NAME.log.1 is the newest
_LONGEST_LINE = 1 << 16
# ECMA-48: control sequences, which colour text and move the cursor, and operating system commands
_CONTROL_CODES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


class RotatedLog:
    """An append-only file that moves to ``NAME.log.1`` before it grows over its limit; older ones move on."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, old_files: int = OLD_FILES) -> None:
        """Open the file, which may have content already."""
        self._path = path
        self._max_bytes = max_bytes
        self._old_files = old_files
        self._file = self._opened()

    def write(self, line: bytes) -> None:
        """Append a line. Several processes may write to the same file, so it may have moved."""
        if not self._is_current():
            self._reopen()
        if self._file.tell() and self._file.tell() + len(line) > self._max_bytes:
            for number in range(self._old_files, 0, -1):
                older = self._old(number - 1) if number > 1 else self._path
                if older.exists():
                    older.replace(self._old(number))
            self._reopen()
        self._file.write(line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _old(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _is_current(self) -> bool:
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    def _reopen(self) -> None:
        self._file.close()
        self._file = self._opened()

    def _opened(self) -> BinaryIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # unbuffered: the end of a crashed process's log is what matters; "a" lets several processes append
        file: BinaryIO = self._path.open("ab", buffering=0)
        self._inode = self._path.stat().st_ino
        return file


def copy(lines: Iterable[bytes], log: RotatedLog, console: BinaryIO | None, name: str) -> None:
    """Write ``lines`` to ``log``, and to ``console`` with ``name`` before each."""
    for line in lines:
        plain = _CONTROL_CODES.sub(b"", line)
        log.write(plain)
        if console:
            console.write(f"{name}: ".encode() + plain)
            console.flush()


def main() -> None:
    """Copy the standard input; arguments: the path of the log, and ``file`` or ``stdout`` for a copy to the output."""
    path, target = Path(sys.argv[1]), sys.argv[2]
    # it must write the last lines of a process that is being stopped, and ends with the pipe
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    lines = iter(lambda: sys.stdin.buffer.readline(_LONGEST_LINE), b"")
    log = RotatedLog(path)
    copy(lines, log, sys.stdout.buffer if target == "stdout" else None, path.stem)
    log.close()


if __name__ == "__main__":
    main()
