"""`stt` in a process of its own on a terminal of 80 columns, as a person at a keyboard has it."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from types import TracebackType

from stt_pipeline_tests.cli.conftest import plain

_STT = [sys.executable, "-c", "from stt_pipeline.cli.main import run; run()"]


class Terminal:
    """A running command: what it shows, what is typed, and how it ends; killed at the end of the block if it still runs."""

    def __init__(self, *arguments: object) -> None:
        self._screen, ours = pty.openpty()
        size = {"COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"}
        self._process = subprocess.Popen(
            [*_STT, *map(str, arguments)],
            stdin=ours,
            stdout=ours,
            stderr=ours,
            env=os.environ | size,
            # a shell has what it starts in the background ignore Ctrl-C, and so would the command
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
        """The words that were shown so far."""
        return plain(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._shown.decode(errors="replace")))

    def wait_for(self, words: str, seconds: float = 60) -> None:
        """Read until ``words`` were shown."""
        deadline = time.monotonic() + seconds
        while words not in self.shown:
            assert time.monotonic() < deadline and self._read(), f"{words!r} is not in {self.shown!r}"

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._screen, keys.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C until the command ends: one between a prompt and the read behind it is not seen before the next."""
        for _ in range(5):
            self._process.send_signal(signal.SIGINT)
            next_press = time.monotonic() + 10
            while time.monotonic() < next_press:
                if not self._read():
                    return

    def end(self) -> int:
        """Read until the command has ended, and return its exit code."""
        deadline = time.monotonic() + 60
        while self._read():
            assert time.monotonic() < deadline, f"it goes on, and shows {self.shown!r}"
        return self._process.wait(60)

    def _read(self) -> bool:
        """Read what there is within a second; False after the end."""
        if select.select([self._screen], [], [], 1.0)[0]:
            try:
                read = os.read(self._screen, 65_536)
            except OSError:  # what Linux says when the other side is closed
                return False
            self._shown += read
            return bool(read)
        return True
