"""The database connection of a command, and the user that the audit log records for its changes."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager

from stt_pipeline.cli.terminal import print_status
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import is_current, upgrade
from stt_pipeline.store.server.embedded import with_database


@contextmanager
def connected() -> Iterator[Database]:
    """Open the database of the settings for the length of the block.

    An embedded database is migrated first; a server from ``STT_DATABASE_URL`` is not, since others may use it.

    Raises:
        ConfigurationError: the database cannot be reached, or `stt db upgrade` has to run first.
    """
    settings = Settings()
    if not settings.database_url and not settings.postgres_folder.parent.exists():
        print_status(f"Starting an empty Postgres in {settings.postgres_folder}: there is no data yet.")
    with with_database(settings) as url:
        if not settings.database_url:
            upgrade(url)
        database = Database(url)
        try:
            with database.begin() as connection:
                current = is_current(connection)
            if not current:
                raise ConfigurationError(
                    "The database schema is not that of this version: run `stt db upgrade` first."
                )
            yield database
        finally:
            database.dispose()


def actor(command: str) -> Actor:
    """Return the actor of a change by ``command``: the operating system's user."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container, a user may have no name
        user = f"user {os.getuid()}"
    return Actor(f"{user} ({command})")
