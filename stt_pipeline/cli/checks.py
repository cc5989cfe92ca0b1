"""The checks of `stt doctor`, one function each. A check returns what it found and what to do.

The only change they make is a small file that is written to the data folder and deleted again.
"""

import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from stt_pipeline import health, native_libraries
from stt_pipeline.batches.execution.dispatch import HEARTBEAT
from stt_pipeline.cli.setting_names import unknown_names
from stt_pipeline.cli.stack_lock import running_stack
from stt_pipeline.cli.webserver import daemon_heartbeats
from stt_pipeline.errors import ConfigurationError, SttError
from stt_pipeline.health import Check, State
from stt_pipeline.home import checkout, default_home, env_files
from stt_pipeline.parquet.files import data_folder, require_writable
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import is_current
from stt_pipeline.store.queue import heartbeats
from stt_pipeline.store.server.embedded import running_url
from stt_pipeline.store.server.postmaster import closed_folders
from stt_pipeline.store.server.url import place_of, psycopg_url, require_reachable

_MAX_HEARTBEAT_AGE = 120.0  # seconds; Dagster's daemons send a heartbeat every 30 s
_DISK_WARN, _DISK_FAIL = 10 << 30, 1 << 30  # bytes; large-v3 alone takes 3 GB


def all_checks(settings: Settings) -> Iterator[Check]:
    """Run all checks; those of the database stop at the first that fails."""
    yield python_version()
    yield from native_libraries.checks()
    yield home(settings)
    yield settings_files()
    yield disk_space(settings)
    yield data(settings)
    yield from database(settings)
    yield dagster(settings)
    yield shell(settings)
    yield health.model(settings)
    yield health.decoder()
    yield health.mail(settings)


def python_version() -> Check:
    """Check the version of the interpreter."""
    found = f"{sys.version.split()[0]} ({sys.executable})"
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return Check("Python", "ok", found)
    return Check("Python", "fail", found, "Use Python 3.11 to 3.13: make setup PYTHON=/path/to/python3.12")


def home(settings: Settings) -> Check:
    """Check that ``STT_HOME`` is writable and the only home here; warn root about folders that Postgres opens."""
    folder = settings.home.absolute()
    found = f"{folder} ({_origin(settings)})"
    existing = _existing(folder)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Check("STT_HOME", "fail", f"{found} cannot be written", "Set STT_HOME to a folder of yours.")
    other = Path.cwd() / ".stt"
    if (other / "postgres").exists() and other.resolve() != folder.resolve():
        advice = f"Set STT_HOME={shlex.quote(str(other))} to use the other one."
        return Check("STT_HOME", "warn", f"{found}; {other} has data too", advice)
    if os.geteuid() == 0 and not settings.database_url and (closed := closed_folders(existing / "postgres")):
        opened = ", ".join(map(str, closed))
        return Check(
            "STT_HOME",
            "warn",
            f"{found}, as root: Postgres' own user must pass through {opened}, which get chmod o+x for that",
            "Run as an ordinary user, or set STT_HOME to a folder that is not inside a private one.",
        )
    return Check("STT_HOME", "ok", found)


def settings_files() -> Check:
    """Check which ``.env`` files are read, and that every ``STT_*`` name is that of a setting."""
    read = [str(path) for path in env_files() if path.is_file()]
    missing = [str(path) for path in env_files() if not path.is_file()]
    found = f"from the environment, then {', then '.join(read)}" if read else "from the environment"
    if missing:
        found = f"{found}; there is no {', no '.join(missing)}"
    if warnings := list(unknown_names()):
        return Check("settings", "warn", found, " ".join(warnings))
    return Check("settings", "ok", found)


def disk_space(settings: Settings) -> Check:
    """Check the free space under ``STT_HOME``."""
    free = shutil.disk_usage(_existing(settings.home.absolute())).free
    state: State = "fail" if free < _DISK_FAIL else "warn" if free < _DISK_WARN else "ok"
    return Check(
        "disk",
        state,
        f"{free / (1 << 30):.1f} GiB free",
        "" if state == "ok" else "Free some space, or move STT_HOME.",
    )


def data(settings: Settings) -> Check:
    """Check that Parquet and exports can be written, with a small file that is deleted again."""
    try:
        folder = data_folder(settings)
        if isinstance(folder, Path) and not folder.exists():
            if not os.access(_existing(folder), os.W_OK | os.X_OK):
                raise ConfigurationError(f"{folder} cannot be created.")
            return Check("data folder", "ok", f"{folder}, created when needed")
        require_writable(folder)
    except SttError as error:
        return Check("data folder", "fail", str(error), "See STT_DATA_URI.")
    return Check("data folder", "ok", str(folder))


def database(settings: Settings) -> Iterator[Check]:
    """Check the server, the schema, and the last tick of the dispatcher."""
    try:
        if settings.database_url:
            require_reachable(settings.database_url)
        url = psycopg_url(settings.database_url) if settings.database_url else running_url(settings)
    except ConfigurationError as error:
        yield Check("Postgres", "fail", str(error))
        return
    if url is None:
        yield Check(
            "Postgres",
            "ok",
            f"embedded in {settings.postgres_folder}, not running now",
            "It starts when needed.",
        )
        return
    yield Check("Postgres", "ok", place_of(url))
    store = Database(url)
    try:
        with store.begin() as connection:
            current = is_current(connection)
            yield (
                Check("schema", "ok", "current")
                if current
                else Check("schema", "fail", "older or newer than this version", "Run `stt db upgrade`.")
            )
            last = heartbeats.last_beat(connection, HEARTBEAT) if current else None
    finally:
        store.dispose()
    if current:
        yield health.dispatcher(last)


def dagster(settings: Settings) -> Check:
    """Check that `stt up` runs on this ``STT_HOME``, and that its daemon is alive."""
    stack = running_stack(settings)
    if stack is None:
        return Check(
            "Dagster", "warn", "`stt up` does not run on this STT_HOME", "Start it: batches need it."
        )
    try:
        heartbeats = daemon_heartbeats(stack.ui_url)
    except (OSError, ValueError):
        return Check(
            "Dagster", "fail", f"{stack.ui_url} does not answer", f"See {settings.home.absolute() / 'logs'}."
        )
    age = time.time() - min(heartbeats, default=0.0)
    if age > _MAX_HEARTBEAT_AGE:
        logs = settings.home.absolute() / "logs" / "daemon.log"
        return Check("Dagster", "fail", f"UI {stack.ui_url}, but a daemon sends no heartbeat", f"See {logs}.")
    return Check("Dagster", "ok", f"UI {stack.ui_url}, daemon alive {age:.0f} s ago")


def shell(settings: Settings) -> Check:
    """Check which instance a `dagster` command in this shell would use."""
    found = os.environ.get("DAGSTER_HOME")
    if found and Path(found) == settings.dagster_home:
        return Check("this shell", "ok", f"DAGSTER_HOME is {found}")
    return Check(
        "this shell",
        "warn",
        f"DAGSTER_HOME is {found}, another instance"
        if found
        else "DAGSTER_HOME is not set: `dagster` commands (not `stt`) use a temporary, empty instance",
        'For `dagster` commands: eval "$(stt env)"',
    )


def _origin(settings: Settings) -> str:
    if any(name.upper() == "STT_HOME" and value for name, value in os.environ.items()):
        return "from the environment"
    if settings.home != default_home():
        return "from .env"
    return "in the checkout" if checkout() else "the default of this user"


def _existing(path: Path) -> Path:
    """Return ``path`` or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
