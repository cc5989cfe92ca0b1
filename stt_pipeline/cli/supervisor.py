"""Runs the whole product on one machine: Postgres, migrations, code server, webserver, daemon and admin API.

It starts the processes, restarts them after a crash, and stops them in order. ``stt up`` waits inside a `Stack`,
``stt demo`` works inside one. The processes themselves are in `services`.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType

from sqlalchemy.exc import OperationalError

from stt_pipeline.cli.environment import environment, prepare_dagster_home
from stt_pipeline.cli.processes import Child, ReservedPorts, end, http_address, orphans, stop
from stt_pipeline.cli.restarts import Restarter, crash_message
from stt_pipeline.cli.services import CODE_SERVER, Service, api_service, dagster_services
from stt_pipeline.cli.stack_lock import RunningStack, StackLock, running_stack
from stt_pipeline.cli.webserver import is_reachable, is_ready
from stt_pipeline.errors import ConfigurationError, SttError
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.server.database_lock import DatabaseLock
from stt_pipeline.store.server.embedded import EmbeddedPostgres, with_database

# for the code server, then for the first answer and heartbeat; about ten seconds are usual
_START_SECONDS = 180.0
_STOP_SECONDS = 5.0  # for webserver and daemon; a browser's open connection would keep the webserver alive
_RUN_STOP_SECONDS = 8.0  # for runs to record that they were interrupted
_POLL_SECONDS = 0.5
_KEY_CHECK_POLLS = 6  # the API waits for a first key; checked every three seconds
_SOCKET = "code.sock"

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

__all__ = ["Stack", "running_stack"]


class Stack:
    """A context manager that runs all processes. Only one can run per ``STT_HOME``.

    A process that crashes inside the block is restarted. If it keeps crashing, everything stops as on a signal, and
    leaving the block raises ``SttError``.

    On exit, also by SIGINT, SIGTERM or SIGHUP (a ``KeyboardInterrupt`` inside the block), webserver and daemon stop
    first, then code server and runs, then Postgres if no other process uses it. A second signal kills the rest.

    Attributes:
        ui_url: address of the Dagster UI.
        api_url: address of the admin API; None if it is off, or while no API key exists.
        database_url: ``postgresql+psycopg://...``.
        environment: variables that connect other processes to the same instance.
        start_seconds: duration of the start.
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
        """Store the arguments; entering starts the processes.

        Args:
            settings: of this process.
            print_status: prints a line for the user when a process is restarted or cleaned up.
            module: the module of the Dagster definitions.
            with_api: also start the admin API as soon as an API key exists.
        """
        self._settings = settings
        self._home = settings.home.absolute()
        self._print_status = print_status
        self._module = module
        self._with_api = with_api
        self.api_url = None
        self._children: list[Child] = []
        self._restarter = Restarter(self._children, print_status=print_status)
        self._restarting = threading.Lock()
        self._announced = False
        self._ports = ReservedPorts()
        self._stopping = self._force = False
        self._ended_cleanly = True

    def __enter__(self) -> "Stack":
        """Start everything. Return when the UI answers and the daemon has sent its first heartbeats.

        Raises:
            ConfigurationError: another stack runs on the home or the database, the port is taken, or the database cannot be used.
            SttError: a process ended or did not become ready; with the end of its log.
        """
        began = time.monotonic()
        with ExitStack() as entered:
            entered.enter_context(self._signals())
            lock = entered.enter_context(StackLock(self._home))
            entered.enter_context(self._ports)
            host, wanted = self._settings.ui_host, self._settings.ui_port
            port = self._ports.reserve(host, wanted, what="The Dagster UI", setting="STT_UI_PORT")
            self.ui_url = http_address(host, port)
            prepare_dagster_home(self._settings)
            self._socket_path = socket_path = Path(entered.enter_context(_runtime_folder())) / _SOCKET
            self._clean_up_after(lock.crashed)
            self.database_url = self._open_database(entered)
            entered.enter_context(DatabaseLock(self.database_url))
            self.environment = environment(self._settings, self.database_url)
            services = dagster_services(self._module, socket_path, host, port)
            self._children += [self._child(service) for service in services]
            lock.record(RunningStack(os.getpid(), self.ui_url, str(socket_path)))
            entered.callback(self._release, lock)
            entered.callback(self._stop)
            since = time.time()
            self._start(socket_path, lock.crashed)
            self._wait_until(lambda: is_ready(self.ui_url, daemon_since=since))
            if self.api_url:
                api_url = self.api_url
                self._wait_until(lambda: is_reachable(f"{api_url}/health"))
                self._announced = True
            threading.Thread(target=self._supervise, name="supervisor", daemon=True).start()
            self._exits = entered.pop_all()
        self.start_seconds = time.monotonic() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, in order.

        Raises:
            SttError: a process kept crashing; with the end of its log.
        """
        self._exits.close()
        if self._restarter.failure:
            raise SttError(self._restarter.failure) from None

    def check(self) -> None:
        """Raise ``SttError`` if a process kept crashing, so that everything stops."""
        if self._restarter.failure:
            raise SttError(self._restarter.failure)

    def _open_database(self, entered: ExitStack) -> str:
        """Return the URL of the database; the embedded server runs until ``entered`` is closed."""
        if self._settings.database_url:
            return entered.enter_context(with_database(self._settings))
        self._restarter.postgres = entered.enter_context(EmbeddedPostgres(self._settings))
        return self._restarter.postgres.url

    def _start(self, socket_path: Path, before: RunningStack | None) -> None:
        from stt_pipeline.store.migrations import upgrade

        # the slowest ones first, beside the migrations
        first = [child for child in self._children if not child.service.needs_code_server]
        if self._is_new_database():
            # the code server alone: two processes that create Dagster's tables at the same time fail
            first = first[:1]
        for child in first:
            child.start()
        upgrade(self.database_url)
        if before:
            self._fail_runs_of(before.code_server)
        self._wait_until(socket_path.exists)
        for child in self._children:
            if child not in first:
                child.start()
        if self._with_api:
            self._with_api = self._can_have_api()
        if self._with_api:
            try:
                self._start_api()
            except ConfigurationError as error:
                self._print_status(str(error))

    def _is_new_database(self) -> bool:
        from stt_pipeline.store.migrations import is_current

        store = Database(self.database_url)
        try:
            with store.begin() as connection:
                return not is_current(connection)
        finally:
            store.dispose()

    def _child(self, service: Service) -> Child:
        return Child(service, self.environment, home=self._home, logs_to=self._settings.logs_to)

    def _can_have_api(self) -> bool:
        """Return whether the API's settings are valid, and print what is wrong; the other processes continue."""
        from stt_pipeline.api.app import create_app

        store = Database(self.database_url)
        try:
            create_app(self._settings, store)
        except ConfigurationError as error:
            self._print_status(str(error))
            return False
        finally:
            store.dispose()
        return True

    def _start_api(self) -> None:
        """Start the admin API. An error of it never stops the other processes.

        Raises:
            ConfigurationError: no API key exists yet, or the API may not start at all and is not tried again.
        """
        from stt_pipeline.api.server import NoKeyError, require_key

        settings, store = self._settings, Database(self.database_url)
        try:
            require_key(settings, store)
        except NoKeyError as error:
            raise NoKeyError(f"{error} The API then starts automatically.") from None
        except ConfigurationError:
            self._with_api = False
            raise
        finally:
            store.dispose()
        host, wanted = settings.api_host, settings.api_port
        port = self._ports.reserve(host, wanted, what="The admin API", setting="STT_API_PORT")
        api = self._child(api_service(port))
        api.start()
        self._children.append(api)
        self.api_url = http_address(host, port)

    def _wait_until(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            for child in self._children:
                if child.exit_code is not None:
                    raise SttError(crash_message(child))
            if time.monotonic() > deadline:
                logs = self._home / "logs"
                raise SttError(f"Dagster was not ready within {_START_SECONDS:.0f} s. Its logs: {logs}.")
            time.sleep(0.2)

    def _supervise(self) -> None:
        """Restart crashed processes until the stop begins, and start the API when a first API key exists."""
        polls = 0
        while self._restarter.failure is None:
            time.sleep(_POLL_SECONDS)
            polls += 1
            with self._restarting:
                if self._stopping:
                    return
                try:
                    if polls % _KEY_CHECK_POLLS == 0:
                        self._start_api_if_possible()
                    if CODE_SERVER in self._restarter.restart_ended():
                        self._fail_starting_runs()
                except OSError as error:  # as when the disk of the logs is full
                    self._restarter.failure = f"A process that ended cannot be restarted: {error}"
            self._announce_api()
        os.kill(os.getpid(), signal.SIGTERM)

    def _fail_starting_runs(self) -> None:
        """Fail, in the background, the runs that a killed code server was starting: no process will report about them."""
        arguments = (str(self._socket_path), str(time.time()))
        threading.Thread(target=self._fail_runs_of, args=arguments, name="starting-runs", daemon=True).start()

    def _start_api_if_possible(self) -> None:
        if self._with_api and self.api_url is None:
            with suppress(ConfigurationError, OperationalError):
                self._start_api()

    def _announce_api(self) -> None:
        """Print the address of an API that was started after the stack, once it answers."""
        if self.api_url and not self._announced and is_reachable(f"{self.api_url}/health"):
            self._announced = True
            self._print_status(f"Admin API {self.api_url}")

    def _stop(self) -> None:
        self._stopping = True
        with self._restarting:
            pass  # no restart begins after this
        first = [child for child in self._children if not child.service.serves_runs]
        stop(first, seconds=_STOP_SECONDS, force=lambda: self._force)
        self._ended_cleanly = end(orphans(self._home), seconds=_RUN_STOP_SECONDS, force=lambda: self._force)
        stop(self._children, seconds=0, force=lambda: True)  # they have ended; this reaps them

    def _release(self, lock: StackLock) -> None:
        if self._ended_cleanly:
            lock.record(None)

    def _clean_up_after(self, before: RunningStack | None) -> None:
        """End the processes of a killed stack, except its Postgres, which this stack uses."""
        if before is None:
            return
        if left := orphans(self._home):
            self._print_status(f"The last `stt up` was killed: ending its {len(left)} remaining processes.")
            end(left, seconds=_RUN_STOP_SECONDS, force=lambda: self._force)
        shutil.rmtree(Path(before.code_server).parent, ignore_errors=True)

    def _fail_runs_of(self, *code_server: str) -> None:
        """Mark runs of a killed code server as failed, because they would keep their slots in the run queue.

        Args:
            code_server: arguments of ``abandoned_runs``.
        """
        ended = subprocess.run(
            [sys.executable, "-m", "stt_pipeline.defs.abandoned_runs", *code_server],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            self._print_status(
                f"The UI may still show runs of a killed code server as active:\n{ended.stderr}"
            )

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn the first signal into ``KeyboardInterrupt``; a signal during the stop kills the rest."""

        def handle(number: int, frame: FrameType | None) -> None:
            if self._stopping:
                self._force = True
            else:
                self._stopping = True
                raise KeyboardInterrupt

        # under nohup a closed terminal does not stop the stack
        numbers = [n for n in _SIGNALS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
        before = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _runtime_folder() -> Iterator[str]:
    # in /tmp, because the path of a socket has at most about 100 bytes; mkdtemp makes it private
    with tempfile.TemporaryDirectory(prefix="stt-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield folder
