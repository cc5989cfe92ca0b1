"""A supervised child process: start, log, stop, and orphans of an earlier supervisor. Knows nothing of Dagster."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import psutil

from stt_pipeline.cli import rotated_log
from stt_pipeline.cli.services import Service
from stt_pipeline.errors import ConfigurationError

_LAST_LINES_SECONDS = 5.0
_MARK = "STT_SUPERVISED_BY"  # in the environment of every child, and inherited by its own children


class Child:
    """One process in its own session, with its output in a log file.

    Attributes:
        service: what it runs.
        name: of the service.
        log: the file; it is rotated by size, and the log of the previous start is kept as ``NAME.previous.log``.
    """

    def __init__(
        self, service: Service, environment: Mapping[str, str], *, home: Path, logs_to: str = "file"
    ) -> None:
        """Store the arguments; ``start`` starts the process.

        Args:
            service: name and command; the log file is ``home/logs/NAME.log``.
            environment: added to the environment of this process.
            home: marks the child and its descendants, for ``orphans``.
            logs_to: ``stdout`` also copies the log to the output of this process.
        """
        self.service = service
        self.name = service.name
        self.log = home / "logs" / f"{service.name}.log"
        self._environment = {**os.environ, "NO_COLOR": "1", **environment, _MARK: str(home)}
        self._logs_to = logs_to
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: threading.Thread | None = None

    def start(self) -> None:
        """Start or restart the process."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self._writer:  # of the previous start: its last lines belong to the previous log
            self._writer.join(_LAST_LINES_SECONDS)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".previous.log"))
        self.log.touch()
        # by its path, which imports nothing of this package
        command = (sys.executable, "-I", rotated_log.__file__, str(self.log), self._logs_to)
        writer = subprocess.Popen(
            command, stdin=subprocess.PIPE, start_new_session=True, stderr=subprocess.DEVNULL
        )
        # it ends after the last descendant of the child; the thread reaps it
        self._writer = threading.Thread(target=writer.wait, name=f"log of {self.name}", daemon=True)
        self._writer.start()
        assert writer.stdin
        with writer.stdin as output:
            self._process = subprocess.Popen(
                self.service.command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only the supervisor, which stops its children in order
            )

    @property
    def exit_code(self) -> int | None:
        """Exit code (negative: a signal); None while it runs or before its start."""
        return None if self._process is None else self._process.poll()

    def tail(self, lines: int = 10) -> str:
        """Return the last lines of its log, all of them if it has ended."""
        if self._writer and self.exit_code is not None:
            self._writer.join(_LAST_LINES_SECONDS)  # a descendant may keep the pipe open
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def stop(children: Iterable[Child], *, seconds: float, force: Callable[[], bool]) -> None:
    """Terminate all ``children`` at once; kill those that still run after ``seconds``, or when ``force()`` is true."""
    processes = [child._process for child in children if child._process is not None]
    for process in processes:
        process.terminate()  # no effect on a process that has ended
    deadline = time.monotonic() + seconds
    while any(process.poll() is None for process in processes):
        if force() or time.monotonic() > deadline:
            for process in processes:
                process.kill()
        time.sleep(0.05)


def orphans(home: Path) -> list[psutil.Process]:
    """Return live descendants of the children of ``home``, also those that outlived a killed supervisor.

    It finds processes of this user only (as root, of all users).
    """
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(_MARK) == str(home):
                found.append(process)
        except (psutil.Error, OSError):
            continue  # ended, a zombie, or of another user
    return found


def end(processes: Iterable[psutil.Process], *, seconds: float, force: Callable[[], bool]) -> bool:
    """Terminate ``processes`` and kill the rest after ``seconds``; return whether no kill was needed."""
    alive = list(processes)
    _signal(alive, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while alive and not force() and time.monotonic() < deadline:
        _, alive = psutil.wait_procs(alive, timeout=0.1)
    _signal(alive, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=5)
    return not alive


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue  # it has ended


class ReservedPorts(ExitStack):
    """Keeps ports until its end, for servers that are started meanwhile.

    Without it any connection may take a free port in the seconds until its server listens. On Linux a socket that is bound
    and does not listen keeps a port, except from servers with ``SO_REUSEADDR``, as those of asyncio are. On other systems it
    would keep the port from these, too, so there a port is only tried.
    """

    def reserve(self, host: str, port: int, *, what: str, setting: str) -> int:
        """Return ``port``, or a free port for 0.

        Raises:
            ConfigurationError: ``what`` cannot use the port; the message names the ``setting`` to change.
        """
        reserving = self.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
        reserving.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            reserving.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"{what} cannot use port {port} on {host}: {error.strerror}. "
                f"Set {setting} to another port (0 takes a free one), or stop the program that uses it."
            ) from None
        found = int(reserving.getsockname()[1])
        if sys.platform != "linux":
            reserving.close()
        return found


def http_address(host: str, port: int) -> str:
    """Return the URL of a server on this host and port."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
