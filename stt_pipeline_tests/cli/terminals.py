"""`stt` in its own process on a terminal of 80 columns, as a user runs it."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from types import TracebackType

import psutil

from stt_pipeline_tests.cli.conftest import plain

_SECONDS = 300.0  # until a command that hangs fails the test, also on a busy machine
_STT = [sys.executable, "-c", "from stt_pipeline.cli.main import run; run()"]


class Terminal:
    """A running command with its screen and keyboard; it is killed at the end of the block if it still runs."""

    def __init__(self, *arguments: object) -> None:
        self._screen, ours = pty.openpty()
        size = {"COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"}
        self._process = subprocess.Popen(
            [*_STT, *map(str, arguments)],
            stdin=ours,
            stdout=ours,
            stderr=ours,
            env=os.environ | size,
            # a command that a shell starts in the background would ignore Ctrl-C
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        os.close(ours)
        self._shown = b""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._screen)

    @property
    def shown(self) -> str:
        """The text on the screen so far, without control sequences."""
        return plain(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._shown.decode(errors="replace")))

    def wait_for(self, words: str) -> None:
        """Read until the screen shows ``words``."""
        deadline = time.monotonic() + _SECONDS
        while words not in self.shown:
            assert time.monotonic() < deadline and self._read(), f"{words!r} is not in {self.shown!r}"

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._screen, keys.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C, as soon as the command waits; press again if it was lost between a prompt and the read after it."""
        deadline = time.monotonic() + _SECONDS
        while psutil.Process(self._process.pid).status() == psutil.STATUS_RUNNING:
            time.sleep(0.02)
        while time.monotonic() < deadline:
            self._process.send_signal(signal.SIGINT)
            next_press = time.monotonic() + 10
            while time.monotonic() < next_press:
                if not self._read():
                    return

    def end(self) -> int:
        """Read until the command has ended, and return its exit code."""
        deadline = time.monotonic() + _SECONDS
        while self._read():
            assert time.monotonic() < deadline, f"it still runs, and shows {self.shown!r}"
        return self._process.wait(_SECONDS)

    def _read(self) -> bool:
        """Read the output of up to a second; return False after the end."""
        if select.select([self._screen], [], [], 1.0)[0]:
            try:
                read = os.read(self._screen, 65_536)
            except OSError:  # Linux: the other side is closed
                return False
            self._shown += read
            return bool(read)
        return True
