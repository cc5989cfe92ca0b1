"""The embedded Postgres: a real server kept under ``STT_HOME``, for whoever has no Postgres at hand.

When it is made, started, joined and stopped. No tables and no queries; how PostgreSQL's programs are run is in
``postmaster.py``.
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
    let_through,
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
    # the same order of text on every machine, whatever locales it has
    "--no-locale",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth=trust",  # who may enter is decided by the mode of the socket's folder
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


class EmbeddedPostgres:
    """The server of one ``STT_HOME``, as a context manager: started or joined on entry, left on exit.

    Any number of processes may be inside at once, and the last one that leaves stops the server: a short command
    that started it does not take it away from a later ``stt up``, nor the other way round. Each holds a shared
    file lock while inside, which ends with the process, so one that was killed does not count.

    Attributes:
        url: ``postgresql+psycopg://...``, once entered.
    """

    url: str

    def __init__(self, settings: Settings) -> None:
        """Nothing is started or written before entry."""
        self._home = settings.home.absolute()
        self._data = settings.postgres_folder
        self._inside: IO[str] | None = None

    def __enter__(self) -> "EmbeddedPostgres":
        """Start the server, or join the running one.

        Raises:
            ConfigurationError: ``STT_HOME`` cannot be used, or the server does not start; with the end of its log.
        """
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            with (self._home / "postgres.start.lock").open("a") as starting:
                fcntl.flock(starting, fcntl.LOCK_EX)
                self._inside = (self._home / "postgres.users.lock").open("a")
                fcntl.flock(self._inside, fcntl.LOCK_SH)  # waits for one that is stopping the server
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
        """Leave the server, and stop it when nobody else is inside."""
        self._leave()

    def _leave(self) -> None:
        if self._inside is None:
            return
        with self._inside as lock:
            self._inside = None
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # others are inside
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
                f"{self._data} was made by PostgreSQL {version}, this is {VERSION}. Move it away to start afresh, "
                "or load a dump of it into a server of your own and set STT_DATABASE_URL."
            )
        user = server_user(self._data)
        if user is not None:
            let_through(self._data)
        sockets = socket_folder(self._data, user)
        remove_leftovers(self._data, sockets)
        options = _SERVER | {"unix_socket_directories": str(sockets)}
        log = self._data / "server.log"
        try:
            # 60 s, because a server that was killed recovers first
            run_program(
                "pg_ctl",
                *("start", "--wait", "--timeout=60", "--silent", "-D", ".", "-l", log.name),
                *("-o", " ".join(f"-c {name}={value}" for name, value in options.items())),
                folder=self._data,
                user=user,
            )
        except subprocess.CalledProcessError as error:
            tail = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else [error.stderr]
            raise ConfigurationError(
                f"The embedded Postgres under {self._data} does not start. The end of {log}:\n"
                + "\n".join(tail)
            ) from None
        url = _url_of(self._data)
        if url is None:
            raise ConfigurationError(f"The embedded Postgres ended right after its start. See {log}.")
        return url

    def _initialize(self) -> None:
        """Make the data folder, under another name first: half a one is never taken for a whole."""
        new = self._data.with_name("postgres.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        user = server_user(new)
        if user is not None:
            shutil.chown(new, user)
            let_through(new)
        try:
            run_program("initdb", *_INITDB, "-D", ".", folder=new, user=user)
        except subprocess.CalledProcessError as error:
            raise ConfigurationError(
                f"No Postgres can be made in {self._data}: {error.stderr.strip()}"
            ) from None
        new.rename(self._data)

    def _stop(self) -> None:
        stop = ("stop", "--wait", "--silent", "-D", ".")
        user = server_user(self._data)
        try:
            run_program("pg_ctl", *stop, "--mode=fast", "--timeout=20", folder=self._data, user=user)
        except subprocess.CalledProcessError:
            # no harm: it recovers at its next start
            run_program("pg_ctl", *stop, "--mode=immediate", "--timeout=10", folder=self._data, user=user)


def running_url(settings: Settings) -> str | None:
    """Return the URL of the embedded Postgres if it runs and takes connections, else None. Starts nothing.

    Raises:
        ConfigurationError: its folder belongs to another user.
    """
    try:
        return _url_of(settings.postgres_folder)
    except OSError as error:
        raise _unusable(settings.home.absolute(), error) from None


@contextmanager
def with_database(settings: Settings) -> Iterator[str]:
    """Yield the ``postgresql+psycopg://`` URL of the database that ``settings`` mean, with a server behind it.

    That is ``STT_DATABASE_URL`` if set; else the embedded Postgres, joined or started for the length of the block.

    Raises:
        ConfigurationError: the server cannot be reached or started.
    """
    if settings.database_url:
        require_reachable(settings.database_url)
        yield psycopg_url(settings.database_url)
    else:
        with EmbeddedPostgres(settings) as server:
            yield server.url


def _url_of(data: Path) -> str | None:
    postmaster = running_postmaster(data)
    if postmaster is None or not postmaster.ready:
        return None
    # not percent-encoded: socket_folder() chose a plain path; the port keeps PGPORT out
    return f"postgresql+psycopg://postgres@/postgres?host={postmaster.socket_folder}&port={PORT}"


def _unusable(home: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"STT_HOME is {home}, which this user cannot use: {error.strerror} ({error.filename}). "
        "Set STT_HOME to a folder that you own and can write to; one that was made as root stays root's."
    )
