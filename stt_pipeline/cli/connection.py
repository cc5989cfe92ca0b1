"""How a short command reaches the database: the one of the settings, migrated, for the length of a block."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager

from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import is_current, upgrade
from stt_pipeline.store.server.embedded import with_database


@contextmanager
def connected() -> Iterator[Database]:
    """Lend the store's database.

    The embedded one is migrated on the way; a server of its own is left as it is, since others may use it.

    Raises:
        ConfigurationError: the database cannot be reached, or `stt db upgrade` has to run first.
    """
    settings = Settings()
    with with_database(settings) as url:
        if not settings.database_url:
            upgrade(url)
        database = Database(url)
        try:
            with database.begin() as connection:
                current = is_current(connection)
            if not current:
                raise ConfigurationError(
                    "The database is not at this version's schema: run `stt db upgrade` first."
                )
            yield database
        finally:
            database.dispose()


def actor(command: str) -> Actor:
    """Return who asks for a change by ``command``: the user of this machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = f"user {os.getuid()}"
    return Actor(f"{user} ({command})")
