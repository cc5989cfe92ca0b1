"""`stt up` in a process of its own, as a user starts it, for the tests that kill parts of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from stt_pipeline.cli.processes import orphans
from stt_pipeline.settings import Settings

STT = [sys.executable, "-c", "from stt_pipeline.cli.main import run; run()"]


class Up:
    """A `stt up` on a folder, with its output in ``output.txt`` there.

    Attributes:
        environment: of the process; tests may add settings before the start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / ".stt"
        self.settings = Settings(home=self.home, database_url="", _env_file=None)
        names = ("STT_", "DAGSTER_", "PYTHONWARNINGS")
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(names)}
        self.environment |= {"STT_API_PORT": "0", "STT_HOME": str(self.home), "STT_ENV_FILE": ""}
        self.environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        with (self.folder / "output.txt").open("w") as output:
            self.process = subprocess.Popen(
                [*STT, "up", "--port", "0"],
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.wait(lambda: "Ready after" in self.said or self.process.poll() is not None)
        assert "Ready after" in self.said, self.said

    @property
    def said(self) -> str:
        return (self.folder / "output.txt").read_text()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*STT, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @staticmethod
    def wait(condition: Callable[[], bool], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the condition did not become true"
            time.sleep(0.1)

    def code_servers(self) -> list[psutil.Process]:
        return [process for process in orphans(self.home) if "grpc" in command_line(process)]


def command_line(process: psutil.Process) -> list[str]:
    """Return the arguments of a process; none if it has ended."""
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


@contextmanager
def stopped_at_end(up: Up) -> Iterator[Up]:
    """End a stack that a test left running, and what a killed stack left."""
    try:
        yield up
    finally:
        if up.process and up.process.poll() is None:
            up.process.send_signal(signal.SIGINT)
            up.process.wait(60)
        for process in orphans(up.home):
            process.kill()
