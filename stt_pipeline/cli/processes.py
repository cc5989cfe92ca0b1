"""A supervised process and what it leaves behind: start, log file, stop, strays. Knows nothing of Dagster."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from stt_pipeline.errors import ConfigurationError

_MARK = "STT_SUPERVISED_BY"  # in the environment of every child and, inherited, of all that it starts


class Child:
    """One process in a session of its own, with its output in a log file.

    Attributes:
        log: the file; that of the start before is kept as ``NAME.previous.log``.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], *, home: Path
    ) -> None:
        """Nothing runs before ``start``.

        Args:
            name: for people, and for the log file ``home/logs/NAME.log``.
            command: program and arguments.
            environment: added to our own.
            home: marks the child and all its descendants as ours, for ``orphans``.
        """
        self.name = name
        self.log = home / "logs" / f"{name}.log"
        self._command = list(command)
        self._environment = {**os.environ, **environment, _MARK: str(home)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, or start it again."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".previous.log"))
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only us, and we stop them in order
            )

    @property
    def exit_code(self) -> int | None:
        """Exit code of a process that ended (negative: the signal), None while it runs or before its start."""
        return None if self._process is None else self._process.poll()

    def tail(self, lines: int = 10) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def stop(children: Iterable[Child], *, seconds: float, force: Callable[[], bool]) -> None:
    """Ask ``children`` to end, together, and kill those that have not after ``seconds`` or when ``force()`` turns true."""
    processes = [child._process for child in children if child._process is not None]
    for process in processes:
        process.terminate()  # does nothing to one that has ended
    deadline = time.monotonic() + seconds
    while any(process.poll() is None for process in processes):
        if force() or time.monotonic() > deadline:
            for process in processes:
                process.kill()
        time.sleep(0.05)


def orphans(home: Path) -> list[psutil.Process]:
    """Return the live processes that children of ``home`` started, or that outlived a killed supervisor.

    Only the own user's processes are seen (as root, all).
    """
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(_MARK) == str(home):
                found.append(process)
        except (psutil.Error, OSError):
            continue  # gone, a zombie, or somebody else's
    return found


def end(processes: Iterable[psutil.Process], *, seconds: float, force: Callable[[], bool]) -> bool:
    """Ask ``processes`` to end and kill the rest after ``seconds``; return whether all ended by themselves."""
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


def usable_port(host: str, port: int, *, what: str, setting: str) -> int:
    """Return ``port``, or a free one for 0.

    Raises:
        ConfigurationError: ``what`` cannot use it; another one goes into ``setting``.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"{what} cannot use port {port} on {host}: {error.strerror}. "
                f"Set {setting} to another port (0 takes a free one), or end what uses this one."
            ) from None
        return int(probe.getsockname()[1])


def http_address(host: str, port: int) -> str:
    """Return the address of what is served there."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
