"""Alembic migrations: ``upgrade`` brings a database to the newest version of the schema.

The version table has its own name, because Dagster keeps an ``alembic_version`` in the same database.
"""

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, text

from stt_pipeline.errors import ConfigurationError

VERSION_TABLE = "stt_alembic_version"
_ALEMBIC = threading.Lock()  # it keeps the connection of a command in a module
_UPGRADE_LOCK = 0x5354_5401  # "STT", 1: only one process migrates at a time


def alembic_config(connection: Connection) -> Config:
    """Return the configuration for commands of Alembic, which run on ``connection``."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(url: str) -> None:
    """Bring the database at ``url`` to the newest version. Safe to call at any time and from several processes.

    Raises:
        ConfigurationError: a newer release has migrated the database.
    """
    engine = create_engine(url)
    try:
        with _ALEMBIC, engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
            try:
                command.upgrade(alembic_config(connection), "head")
            except CommandError as error:  # this release does not have that version
                raise ConfigurationError(
                    f"The database was migrated by a newer release of stt_pipeline. Install that release. ({error})"
                ) from None
    finally:
        engine.dispose()


def is_current(connection: Connection) -> bool:
    """Return whether the schema is at the newest version."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return (
        context.get_current_revision()
        == ScriptDirectory.from_config(alembic_config(connection)).get_current_head()
    )
