"""The whole product on one machine: Postgres, migrations, code server, Dagster's webserver and daemon, as one thing.

What is started, in which order it stops, and what is restarted. Commands wrap it: ``stt up`` waits in it, ``stt demo``
works in it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType

from sqlalchemy.exc import OperationalError

from stt_pipeline.cli.environment import LOCATION, environment, prepare_dagster_home
from stt_pipeline.cli.processes import Child, end, http_address, orphans, stop, usable_port
from stt_pipeline.cli.stack_lock import RunningStack, StackLock, running_stack
from stt_pipeline.cli.webserver import answers, is_ready
from stt_pipeline.errors import ConfigurationError, SttError
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.server.embedded import with_database

_START_SECONDS = 180.0  # for the code server, then for first answer and heartbeat; ten seconds are usual
_STOP_SECONDS = 5.0  # for webserver and daemon; a browser's open connection would hold the webserver for ever
_RUN_STOP_SECONDS = 8.0  # for runs to record that they were interrupted
_LOOKS_FOR_KEYS = 6  # every three seconds
_SOCKET = "code.sock"
_API = "api"
_DEATHS, _DEATH_WINDOW = (
    3,
    120.0,
)  # a process that ends this often within so many seconds is not started again
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

__all__ = ["Stack", "running_stack"]


class Stack:
    """A context manager around everything that runs. Only one at a time for each ``STT_HOME``.

    While inside, a process that ends is started again; if that does not help, everything stops as on a signal, and
    leaving the block raises ``SttError``.

    On exit, also by SIGINT, SIGTERM or SIGHUP (a ``KeyboardInterrupt`` inside the block), webserver and daemon stop
    first, then code server and runs, then Postgres if nobody else uses it. A second signal kills what is left.

    Attributes:
        ui_url: address of the Dagster UI.
        api_url: address of the admin API; None where it was not asked for, or as long as nobody has a key.
        database_url: ``postgresql+psycopg://...``.
        environment: variables with which other processes meet the same instance.
        start_seconds: how long entering took.
    """

    ui_url: str
    api_url: str | None
    database_url: str
    environment: dict[str, str]
    start_seconds: float

    def __init__(
        self,
        settings: Settings,
        *,
        print_status: Callable[[str], None],
        module: str = "stt_pipeline.definitions",
        with_api: bool = False,
    ) -> None:
        """Nothing is started before entry.

        Args:
            settings: of this process.
            say: gets a line for a person when something starts again or has to be cleaned up.
            module: where the Dagster definitions are.
            with_api: start the admin API as well, as soon as somebody has a key for it.
        """
        self._settings = settings
        self._home = settings.home.absolute()
        self._say = print_status
        self._module = module
        self._with_api = with_api
        self.api_url = None
        self._children: list[Child] = []
        self._deaths: deque[float] = deque(maxlen=_DEATHS)
        self._api_deaths: deque[float] = deque(maxlen=_DEATHS)
        self._watching = threading.Lock()
        self._failure: str | None = None
        self._stopping = False
        self._force = False
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
            claim = entered.enter_context(StackLock(self._home))
            host = self._settings.ui_host
            port = usable_port(host, self._settings.ui_port, what="The Dagster UI", setting="STT_UI_PORT")
            self.ui_url = http_address(host, port)
            prepare_dagster_home(self._settings)
            runtime = Path(entered.enter_context(_runtime_folder()))
            self._clean_up_after(claim.before)
            self.database_url = entered.enter_context(with_database(self._settings))
            self.environment = environment(self._settings, self.database_url)
            self._children = self._prepared(host, port, runtime)
            claim.record(RunningStack(os.getpid(), self.ui_url, str(runtime / _SOCKET)))
            entered.callback(self._release, claim)
            entered.callback(self._stop)
            since = time.time()
            self._start(runtime / _SOCKET, claim.before)
            self._wait_until(lambda: is_ready(self.ui_url, daemon_since=since))
            if self.api_url:
                api_url = self.api_url
                self._wait_until(lambda: answers(f"{api_url}/health"))
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

    def _prepared(self, host: str, port: int, runtime: Path) -> list[Child]:
        """Return code server, webserver and daemon, not started yet."""
        workspace = runtime / "workspace.yaml"
        # one code server for all: webserver and daemon would otherwise start one each
        location = {"grpc_server": {"socket": str(runtime / _SOCKET), "location_name": LOCATION}}
        workspace.write_text(json.dumps({"load_from": [location]}))  # JSON is YAML

        def child(name: str, *arguments: str) -> Child:
            return Child(name, [sys.executable, "-m", *arguments], self.environment, home=self._home)

        return [
            child("code-server", "dagster", "api", "grpc", "-m", self._module, "-s", str(runtime / _SOCKET)),
            child("webserver", "dagster_webserver", "-h", host, "-p", str(port), "-w", str(workspace)),
            child("daemon", "dagster._daemon", "run", "-w", str(workspace)),
        ]

    def _start(self, socket_path: Path, before: RunningStack | None) -> None:
        from stt_pipeline.store.migrations import upgrade

        code_server, webserver, daemon = self._children[:3]
        # what takes longest begins first; the daemon, whose sensors ask the code server and read tables, waits for both
        code_server.start()
        webserver.start()
        upgrade(self.database_url)
        if before:
            self._give_up_runs_of(before)
        self._wait_until(socket_path.exists)
        daemon.start()
        if self._with_api:
            self._with_api = self._can_have_api()
        if self._with_api:
            try:
                self._start_api()
            except ConfigurationError as error:
                self._say(str(error))

    def _can_have_api(self) -> bool:
        """Look at the settings of the admin API, which stay as they are, and say what is wrong; the rest goes on."""
        from stt_pipeline.api.app import create_app

        store = Database(self.database_url)
        try:
            create_app(self._settings, store)
        except ConfigurationError as error:
            self._say(str(error))
            return False
        finally:
            store.dispose()
        return True

    def _start_api(self) -> None:
        """Start the admin API; what is wrong with it never stops the rest.

        Raises:
            ConfigurationError: nobody could call it yet, or it may not start at all, and is not tried again.
        """
        from stt_pipeline.api.server import NoKeyError, require_way_in

        settings, store = self._settings, Database(self.database_url)
        try:
            require_way_in(settings, store)
        except NoKeyError as error:
            raise NoKeyError(f"{error} It starts by itself then.") from None
        except ConfigurationError:
            self._with_api = False
            raise
        finally:
            store.dispose()
        port = usable_port(settings.api_host, settings.api_port, what="The admin API", setting="STT_API_PORT")
        command = [sys.executable, "-m", "stt_pipeline.cli.main", "api", "--port", str(port)]
        api = Child(_API, command, self.environment, home=self._home)
        api.start()
        self._children.append(api)
        self.api_url = http_address(settings.api_host, port)

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
        """Start again what ends, until the stop begins; and the admin API, as soon as somebody has a key."""
        looks = 0
        while self._failure is None:
            time.sleep(0.5)
            looks += 1
            with self._watching:
                if self._stopping:
                    return
                if self._with_api and self.api_url is None and looks % _LOOKS_FOR_KEYS == 0:
                    with suppress(ConfigurationError, OperationalError):
                        self._start_api()
                        self._say(f"Admin API {self.api_url}")
                for child in [*self._children]:
                    if child.exit_code is not None:
                        self._restart(child)

    def _restart(self, child: Child) -> None:
        now = time.monotonic()
        # the admin API may fail alone: batches go on without it
        is_api = child.name == _API
        deaths = self._api_deaths if is_api else self._deaths
        deaths.append(now)
        if len(deaths) < _DEATHS or now - deaths[0] >= _DEATH_WINDOW:
            self._say(f"{_death(child)}\nStarting it again.")
            child.start()
        elif is_api:
            self._say(
                f"{_death(child)}\nIt keeps ending, so the rest goes on without it. `stt api` starts it by itself."
            )
            self._children.remove(child)
            self._with_api = False
        else:
            self._failure = f"{_death(child)}\nProcesses keep ending, so everything stops."
            os.kill(os.getpid(), signal.SIGTERM)

    def _stop(self) -> None:
        self._stopping = True
        with self._watching:
            pass  # nothing is started again from here on
        stop(self._children[1:], seconds=_STOP_SECONDS, force=lambda: self._force)
        self._ended_cleanly = end(orphans(self._home), seconds=_RUN_STOP_SECONDS, force=lambda: self._force)
        stop(self._children, seconds=0, force=lambda: True)  # nothing is left to stop, but to be waited for

    def _release(self, claim: StackLock) -> None:
        if self._ended_cleanly:
            claim.record(None)

    def _clean_up_after(self, before: RunningStack | None) -> None:
        """End what a killed stack left running, except its Postgres, which is joined."""
        if before is None:
            return
        if left := orphans(self._home):
            self._say(f"The last `stt up` was killed: ending {len(left)} processes that it left.")
            end(left, seconds=_RUN_STOP_SECONDS, force=lambda: self._force)
        shutil.rmtree(Path(before.code_server).parent, ignore_errors=True)

    def _give_up_runs_of(self, before: RunningStack) -> None:
        """Record as failed what a killed stack left as running: it would hold its place in the queue for ever."""
        ended = subprocess.run(
            [sys.executable, "-m", "stt_pipeline.defs.abandoned_runs", before.code_server],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            self._say(f"Runs of the killed `stt up` may still be shown as running:\n{ended.stderr}")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn the first signal into ``KeyboardInterrupt``, and any during the stop into haste."""

        def handle(number: int, frame: FrameType | None) -> None:
            if self._stopping:
                self._force = True
            else:
                self._stopping = True
                raise KeyboardInterrupt

        # nohup means it: a closed terminal is then no reason to stop
        numbers = [n for n in _SIGNALS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
        before = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _runtime_folder() -> Iterator[str]:
    # in /tmp, since the path of a socket is limited to about 100 bytes; closed to other users by mkdtemp
    with tempfile.TemporaryDirectory(prefix="stt-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield folder


def _death(child: Child) -> str:
    code = child.exit_code
    return f"The {child.name} ended (exit code {code}). The end of {child.log}:\n{child.tail()}"
