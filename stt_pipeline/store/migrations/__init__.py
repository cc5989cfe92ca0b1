"""The history of the schema, run by Alembic: ``upgrade`` brings a database to the newest version.

The version table has a name of its own, because Dagster keeps an ``alembic_version`` in the same database.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, text

from stt_pipeline.errors import ConfigurationError

VERSION_TABLE = "stt_alembic_version"
_UPGRADE_LOCK = 0x5354_5401  # "STT", 1: only one process migrates at a time


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def upgrade(url: str) -> None:
    """Bring the database at ``url`` to the newest version. Safe to call at any time, from several processes at once.

    Raises:
        ConfigurationError: a newer release has been here.
    """
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
            config = _config()
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:  # its version is not in our history
                raise ConfigurationError(
                    f"The database was made by a newer release of this program: install that one. ({error})"
                ) from None
    finally:
        engine.dispose()


def is_current(connection: Connection) -> bool:
    """Return whether the schema is at the newest version."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision() == ScriptDirectory.from_config(_config()).get_current_head()
