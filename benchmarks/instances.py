"""What several benchmarks share: a new database with a Dagster instance, sensor ticks in it, and status lines."""

import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, make_url, text

from stt_pipeline.cli.environment import environment, prepare_dagster_home
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import upgrade
from stt_pipeline.store.server.embedded import with_database

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from dagster._core.definitions.sensor_definition import SensorExecutionData

_began = time.monotonic()


@contextmanager
def own_database(folder: Path, server: str) -> Iterator[Settings]:
    """Create a database, and drop it at the end. The value is settings for it, which are also in ``os.environ``.

    Args:
        folder: for STT_HOME.
        server: URL of a Postgres server; empty starts the embedded one.
    """
    home = folder / "home"
    with with_database(Settings(home=home, database_url=server, _env_file=None)) as url:
        name = f"stt_scale_{uuid.uuid4().hex[:8]}"
        own = make_url(url).set(database=name).render_as_string(hide_password=False)
        _execute(url, f"CREATE DATABASE {name}")
        try:
            upgrade(own)
            settings = Settings(home=home, database_url=own, _env_file=None)
            prepare_dagster_home(settings)
            os.environ |= environment(settings, own)
            yield settings
        finally:
            print_status("cleaning up")
            _execute(url, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@contextmanager
def closing_database(url: str) -> Iterator[Database]:
    """Open a pool of connections, and close it at the end."""
    database = Database(url)
    try:
        yield database
    finally:
        database.dispose()


def sensor_tick(instance: "DagsterInstance", name: str) -> "SensorExecutionData":
    """Evaluate a sensor once, as Dagster's code server does, and return its run requests and messages.

    Raises:
        SystemExit: the evaluation failed.
    """
    from dagster._core.definitions.sensor_definition import SensorExecutionData
    from dagster._core.remote_origin import RegisteredCodeLocationOrigin
    from dagster._grpc.impl import get_external_sensor_execution

    from stt_pipeline.definitions import defs

    found = get_external_sensor_execution(
        defs.get_repository_def(),
        code_location_origin=RegisteredCodeLocationOrigin("stt_pipeline"),
        instance_ref=instance.get_ref(),
        sensor_name=name,
        last_tick_completion_timestamp=None,
        last_run_key=None,
        cursor=None,
        log_key=None,
        last_sensor_start_timestamp=None,
    )
    if not isinstance(found, SensorExecutionData):
        raise SystemExit(f"The sensor failed: {found.error}")
    return found


def print_status(message: str) -> None:
    """Print the seconds since the start, and a message, to stderr."""
    print(f"{time.monotonic() - _began:7.1f} s  {message}", file=sys.stderr, flush=True)
