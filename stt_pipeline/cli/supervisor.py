"""The whole product on one machine: Postgres, migrations, code server, Dagster's webserver and daemon, as one thing.

What is started, in which order it stops, and what is restarted. Commands wrap it: ``stt up`` waits in it, ``stt demo``
works in it.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType, TracebackType

from stt_pipeline.cli.environment import LOCATION, environment, prepare_dagster_home
from stt_pipeline.cli.processes import Child, end, stop, strays
from stt_pipeline.cli.webserver import is_ready
from stt_pipeline.errors import ConfigurationError, SttError
from stt_pipeline.settings import Settings
from stt_pipeline.store.embedded import with_database

_START_SECONDS = 180.0  # for the code server, then for first answer and heartbeat; ten seconds are usual
_STOP_SECONDS = 5.0  # for webserver and daemon; a browser's open connection would hold the webserver for ever
_RUN_STOP_SECONDS = 8.0  # for runs to record that they were interrupted
_DEATHS, _DEATH_WINDOW = (
    3,
    120.0,
)  # a process that ends this often within so many seconds is not started again
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class RunningStack:
    """What ``STT_HOME/stack.json`` says of a running stack, for others that meet it."""

    pid: int
    ui_url: str
    code_server: str


class Stack:
    """A context manager around everything that runs. Only one at a time for each ``STT_HOME``.

    While inside, a process that ends is started again; if that does not help, everything stops as on a signal, and
    leaving the block raises ``SttError``.

    On exit, also by SIGINT, SIGTERM or SIGHUP (a ``KeyboardInterrupt`` inside the block), webserver and daemon stop
    first, then code server and runs, then Postgres if nobody else uses it. A second signal kills what is left.

    Attributes:
        ui_url: address of the Dagster UI.
        database_url: ``postgresql+psycopg://...``.
        environment: variables with which other processes meet the same instance.
        start_seconds: how long entering took.
    """

    ui_url: str
    database_url: str
    environment: dict[str, str]
    start_seconds: float

    def __init__(
        self,
        settings: Settings,
        *,
        say: Callable[[str], None],
        module: str = "stt_pipeline.definitions",
    ) -> None:
        """Nothing is started before entry.

        Args:
            settings: of this process.
            say: gets a line for a person when something starts again or has to be cleaned up.
            module: where the Dagster definitions are.
        """
        self._settings = settings
        self._home = settings.home.absolute()
        self._say = say
        self._module = module
        self._children: list[Child] = []
        self._deaths: deque[float] = deque(maxlen=_DEATHS)
        self._watching = threading.Lock()
        self._failure: str | None = None
        self._stopping = False
        self._hurry = False
        self._ended_cleanly = True

    def __enter__(self) -> "Stack":
        """Start everything and return when the UI answers and the daemon has given its first signs of life.

        Raises:
            ConfigurationError: another one runs, the port is taken, or the database cannot be used.
            SttError: a process ended or did not get ready; with the end of its log.
        """
        began = time.monotonic()
        with ExitStack() as entered:
            entered.enter_context(self._signals())
            port = _usable_port(self._settings.ui_host, self._settings.ui_port)
            self.ui_url = f"http://{self._settings.ui_host}:{port}"
            runtime = Path(entered.enter_context(_runtime_folder()))
            code_server = str(runtime / "code.sock")
            abandoned = entered.enter_context(self._claim(code_server))
            prepare_dagster_home(self._settings)
            self.database_url = entered.enter_context(with_database(self._settings))
            self.environment = environment(self._settings, self.database_url)
            entered.callback(self._stop)
            since = time.time()
            self._start(port, runtime, code_server, abandoned)
            self._wait_until(lambda: is_ready(self.ui_url, daemon_since=since))
            threading.Thread(target=self._watch, name="supervisor", daemon=True).start()
            self._exits = entered.pop_all()
        self.start_seconds = time.monotonic() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, in order.

        Raises:
            SttError: the reason was a process that kept ending; with the end of its log.
        """
        self._exits.close()
        if self._failure:
            raise SttError(self._failure) from None

    def check(self) -> None:
        """Raise ``SttError`` if processes kept ending, so that everything stops."""
        if self._failure:
            raise SttError(self._failure)

    def _start(self, port: int, runtime: Path, code_server: str, abandoned: str | None) -> None:
        from stt_pipeline.store.migrations import upgrade

        workspace = runtime / "workspace.yaml"  # JSON is YAML
        location = {"grpc_server": {"socket": code_server, "location_name": LOCATION}}
        workspace.write_text(json.dumps({"load_from": [location]}))

        def child(name: str, *arguments: str) -> Child:
            return Child(name, [sys.executable, "-m", *arguments], self.environment, home=self._home)

        # one code server for all: webserver and daemon would otherwise start one each
        code = child("code-server", "dagster", "api", "grpc", "-m", self._module, "--socket", code_server)
        web = child(
            "webserver",
            *("dagster_webserver", "--workspace", str(workspace)),
            *("--host", self._settings.ui_host, "--port", str(port)),
        )
        daemon = child("daemon", "dagster._daemon", "run", "--workspace", str(workspace))
        self._children = [code, web, daemon]
        # what takes longest begins first; the daemon, whose sensors ask the code server and read tables, waits for both
        code.start()
        web.start()
        upgrade(self.database_url)
        if abandoned:
            self._give_up_runs_of(abandoned)
        self._wait_until(Path(code_server).exists)
        daemon.start()

    def _wait_until(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            for child in self._children:
                if child.exit_code is not None:
                    raise SttError(_death(child))
            if time.monotonic() > deadline:
                logs = self._home / "logs"
                raise SttError(
                    f"Dagster did not get ready within {_START_SECONDS:.0f} s. Its logs are in {logs}."
                )
            time.sleep(0.2)

    def _watch(self) -> None:
        """Start again what ends, until the stop begins."""
        while self._failure is None:
            time.sleep(0.5)
            with self._watching:
                if self._stopping:
                    return
                for child in self._children:
                    if child.exit_code is not None:
                        self._restart(child)

    def _restart(self, child: Child) -> None:
        now = time.monotonic()
        self._deaths.append(now)
        if len(self._deaths) == _DEATHS and now - self._deaths[0] < _DEATH_WINDOW:
            self._failure = f"{_death(child)}\nProcesses keep ending, so everything stops."
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self._say(f"{_death(child)}\nStarting it again.")
            child.start()

    def _stop(self) -> None:
        self._stopping = True
        with self._watching:
            pass  # nothing is started again from here on
        stop(self._children[1:], seconds=_STOP_SECONDS, hurry=lambda: self._hurry)
        self._ended_cleanly = end(strays(self._home), seconds=_RUN_STOP_SECONDS, hurry=lambda: self._hurry)
        stop(self._children, seconds=0, hurry=lambda: True)  # nothing is left to stop, but to be waited for

    def _give_up_runs_of(self, code_server: str) -> None:
        """Record as failed what a killed stack left as running: it would hold its place in the queue for ever."""
        subprocess.run(
            [sys.executable, "-m", "stt_pipeline.cli.abandoned_runs", code_server],
            env={**os.environ, **self.environment},
            check=True,
        )

    @contextmanager
    def _claim(self, code_server: str) -> Iterator[str | None]:
        """Hold the lock on ``stack.json``; yield the code server of a stack that did not end as it should."""
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            file = (self._home / "stack.json").open("a+")
        except OSError as error:
            raise ConfigurationError(
                f"STT_HOME is {self._home}, which cannot be used: {error.strerror}. Set it to a folder of yours."
            ) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                other = running_stack(self._settings)
                where = f"process {other.pid}, UI {other.ui_url}" if other else "it is just starting"
                raise ConfigurationError(f"`stt up` already runs on {self._home}: {where}.") from None
            before = _read(file.name)
            if before and (left := strays(self._home)):
                self._say(f"The last `stt up` was killed: ending {len(left)} processes that it left.")
                end(left, seconds=_RUN_STOP_SECONDS, hurry=lambda: self._hurry)
            state = RunningStack(pid=os.getpid(), ui_url=self.ui_url, code_server=code_server)
            file.truncate(0)
            file.write(json.dumps(asdict(state)))
            file.flush()
            if before:
                shutil.rmtree(Path(before.code_server).parent, ignore_errors=True)
            yield before.code_server if before else None
            if self._ended_cleanly:
                file.truncate(0)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn the first signal into ``KeyboardInterrupt``, and any during the stop into haste."""

        def handle(number: int, frame: FrameType | None) -> None:
            if self._stopping:
                self._hurry = True
            else:
                self._stopping = True
                raise KeyboardInterrupt

        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may have handlers
            return
        before = {number: signal.signal(number, handle) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def running_stack(settings: Settings) -> RunningStack | None:
    """Return the stack that runs on this ``STT_HOME`` in another process, or None."""
    path = settings.home.absolute() / "stack.json"
    with suppress(FileNotFoundError), path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(path)
    return None


def _read(path: Path | str) -> RunningStack | None:
    try:
        return RunningStack(**json.loads(Path(path).read_text()))
    except (ValueError, TypeError):  # empty after a good end, or half written
        return None


def _usable_port(host: str, port: int) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"The Dagster UI cannot use port {port} on {host}: {error.strerror}. "
                "Set STT_UI_PORT to another port (0 takes a free one), or end what uses this one."
            ) from None
        return int(probe.getsockname()[1])


@contextmanager
def _runtime_folder() -> Iterator[str]:
    # in /tmp, since the path of a socket is limited to about 100 bytes; closed to other users by mkdtemp
    with tempfile.TemporaryDirectory(prefix="stt-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield folder


def _death(child: Child) -> str:
    code = child.exit_code
    return f"The {child.name} ended (exit code {code}). The end of {child.log}:\n{child.tail()}"
