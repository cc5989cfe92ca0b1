"""The embedded Postgres: a server under ``STT_HOME``, for users without a Postgres server.

Creates, starts, joins and stops the server. Running the programs of PostgreSQL is in ``postmaster.py``.
"""

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings
from stt_pipeline.store.server.postmaster import (
    PORT,
    VERSION,
    allow_traversal,
    remove_leftovers,
    run_program,
    running_postmaster,
    server_user,
    socket_folder,
)
from stt_pipeline.store.server.url import psycopg_url, require_reachable

_INITDB = [
    "--username=postgres",
    "--encoding=UTF8",
    # the same sort order on every machine, independent of its locales
    "--no-locale",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth=trust",  # the mode of the socket's folder controls access
]
_SERVER = {
    "listen_addresses": "''",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    # Dagster opens a connection for each query: from the UI, the daemon, the code server and every run
    "max_connections": "200",
    "timezone": "UTC",
    "log_checkpoints": "off",
}
_LOG = "server.log"  # in the data folder


class EmbeddedPostgres:
    """The server of one ``STT_HOME`` as a context manager, which starts or joins the server.

    Several processes can use the server at once, and the last one that exits stops it. So a short command that started
    the server does not stop it while ``stt up`` uses it. Each process holds a shared file lock, which the system
    releases if the process is killed.

    Attributes:
        url: ``postgresql+psycopg://...``, once entered.
    """

    url: str

    def __init__(self, settings: Settings) -> None:
        """Store the settings; ``__enter__`` starts the server."""
        self._home = settings.home.absolute()
        self._data = settings.postgres_folder
        self._inside: IO[str] | None = None

    def __enter__(self) -> "EmbeddedPostgres":
        """Start the server, or join the running one.

        Raises:
            ConfigurationError: ``STT_HOME`` cannot be used, or the server does not start; the message has the end of its log.
        """
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            with (self._home / "postgres.start.lock").open("a") as starting:
                fcntl.flock(starting, fcntl.LOCK_EX)
                self._inside = (self._home / "postgres.users.lock").open("a")
                fcntl.flock(self._inside, fcntl.LOCK_SH)  # waits for a process that stops the server
                self.url = _url_of(self._data) or self._start()
        except OSError as error:
            self._leave()
            raise _unusable(self._home, error) from None
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the server, and stop it if no other process uses it."""
        self._leave()

    def is_running(self) -> bool:
        """Return whether the server's process is alive; it may be in crash recovery."""
        return running_postmaster(self._data) is not None

    def start_again(self) -> None:
        """Start the server after it ended inside the block, as after SIGKILL. Its URL stays the same.

        Raises:
            ConfigurationError: as for ``__enter__``.
        """
        try:
            with (self._home / "postgres.start.lock").open("a") as starting:
                fcntl.flock(starting, fcntl.LOCK_EX)
                if not self.is_running():  # another process may have started it meanwhile
                    self._start()
        except OSError as error:
            raise _unusable(self._home, error) from None

    def log_tail(self, lines: int = 5) -> str:
        """Return the last lines of the server's log."""
        log = self._data / _LOG
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    def _leave(self) -> None:
        if self._inside is None:
            return
        with self._inside as lock:
            self._inside = None
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # other processes use the server
            if postmaster := running_postmaster(self._data):
                self._stop()
                if postmaster.socket_folder != str(self._data):
                    with suppress(OSError):
                        Path(postmaster.socket_folder).rmdir()

    def _start(self) -> str:
        if not (self._data / "PG_VERSION").exists():
            self._initialize()
        version = (self._data / "PG_VERSION").read_text().strip()
        if version != VERSION:
            raise ConfigurationError(
                f"{self._data} was created by PostgreSQL {version}, this is {VERSION}. Move the folder away to start with "
                "an empty database, or restore a dump of it on your own server and set STT_DATABASE_URL."
            )
        user = server_user(self._data)
        if user is not None:
            allow_traversal(self._data)
        sockets = socket_folder(self._data, user)
        remove_leftovers(self._data, sockets)
        options = _SERVER | {"unix_socket_directories": str(sockets)}
        log = self._data / _LOG
        try:
            # 60 s: a server that was killed does crash recovery first
            run_program(
                "pg_ctl",
                *("start", "--wait", "--timeout=60", "--silent", "-D", ".", "-l", log.name),
                *("-o", " ".join(f"-c {name}={value}" for name, value in options.items())),
                folder=self._data,
                user=user,
            )
        except subprocess.CalledProcessError as error:
            raise ConfigurationError(
                f"The embedded Postgres under {self._data} does not start. The end of {log}:\n"
                f"{self.log_tail() or error.stderr}"
            ) from None
        url = _url_of(self._data)
        if url is None:
            raise ConfigurationError(f"The embedded Postgres ended right after its start. See {log}.")
        return url

    def _initialize(self) -> None:
        """Create the data folder under a temporary name, so that an incomplete one is never used."""
        new = self._data.with_name("postgres.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        user = server_user(new)
        if user is not None:
            shutil.chown(new, user)
            allow_traversal(new)
        try:
            run_program("initdb", *_INITDB, "-D", ".", folder=new, user=user)
        except subprocess.CalledProcessError as error:
            raise ConfigurationError(
                f"Postgres cannot be initialized in {self._data}: {error.stderr.strip()}"
            ) from None
        new.rename(self._data)

    def _stop(self) -> None:
        stop = ("stop", "--wait", "--silent", "-D", ".")
        user = server_user(self._data)
        try:
            run_program("pg_ctl", *stop, "--mode=fast", "--timeout=20", folder=self._data, user=user)
        except subprocess.CalledProcessError:
            # safe: the server does crash recovery at its next start
            run_program("pg_ctl", *stop, "--mode=immediate", "--timeout=10", folder=self._data, user=user)


def running_url(settings: Settings) -> str | None:
    """Return the URL of the embedded Postgres if it accepts connections, else None. Does not start it.

    Raises:
        ConfigurationError: its folder belongs to another user.
    """
    try:
        return _url_of(settings.postgres_folder)
    except OSError as error:
        raise _unusable(settings.home.absolute(), error) from None


@contextmanager
def with_database(settings: Settings, *, wait_seconds: float = 0.0) -> Iterator[str]:
    """Yield the ``postgresql+psycopg://`` URL of the database of ``settings``, with a running server.

    It is ``STT_DATABASE_URL`` if set, else the embedded Postgres, which runs at least until the end of the block.

    Args:
        wait_seconds: how long to wait for a server at ``STT_DATABASE_URL`` that does not answer, as while it restarts.

    Raises:
        ConfigurationError: the server cannot be reached or started.
    """
    if settings.database_url:
        require_reachable(settings.database_url, wait_seconds=wait_seconds)
        yield psycopg_url(settings.database_url)
    else:
        with EmbeddedPostgres(settings) as server:
            yield server.url


def _url_of(data: Path) -> str | None:
    postmaster = running_postmaster(data)
    if postmaster is None or not postmaster.ready:
        return None
    # not percent-encoded: socket_folder() returns a plain path; the port overrides PGPORT
    return f"postgresql+psycopg://postgres@/postgres?host={postmaster.socket_folder}&port={PORT}"


def _unusable(home: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"STT_HOME is {home}, which this user cannot use: {error.strerror} ({error.filename}). "
        "Set STT_HOME to a folder that you own and can write to. A folder that root created belongs to root."
    )
