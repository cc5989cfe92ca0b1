"""The lock that lets one stack run on a database: an advisory lock of Postgres, held by a session of its own."""

import os
import socket
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final

from stt_pipeline.errors import ConfigurationError
from stt_pipeline.store.server.url import libpq_url, place_of

if TYPE_CHECKING:
    import psycopg

_KEY: Final = 0x5354_5405  # "STT", 5; the other locks are in queue/batches.py, migrations and results
_NAME_BYTES: Final = 63  # of an application_name
# a session of a machine that lost its power ends after 30 s, not after the two hours of TCP's default
_KEEPALIVES: Final = "-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
_OWNER: Final = """
SELECT application_name, to_char(backend_start, 'YYYY-MM-DD HH24:MI TZ')
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = %s
    AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class DatabaseLock:
    """The lock as a context manager. Postgres releases it when the process ends, also after SIGKILL.

    Two stacks would each have a dispatcher and a Dagster daemon on the same queue of runs. A restart of the server ends the
    session, and with it the lock.
    """

    def __init__(self, url: str) -> None:
        """Take the URL of a server that runs, in any form; entry opens the session."""
        self._url = url
        self._session: psycopg.Connection[tuple[str, str]] | None = None

    def __enter__(self) -> "DatabaseLock":
        """Take the lock.

        Raises:
            ConfigurationError: another stack holds it; the message names its process and machine.
        """
        import psycopg

        name = f"stt up, process {os.getpid()} on {socket.gethostname()}"
        session = psycopg.connect(
            libpq_url(self._url),
            autocommit=True,
            application_name=name.encode()[:_NAME_BYTES].decode(errors="ignore"),
            options=_KEEPALIVES,
        )
        if session.execute("SELECT pg_try_advisory_lock(%s)", [_KEY]).fetchone() == (True,):
            self._session = session
            return self
        owner = session.execute(_OWNER, [_KEY]).fetchone()
        session.close()
        who = f"{owner[0] or 'unknown process'}, since {owner[1]}" if owner else "it is just ending"
        raise ConfigurationError(
            f"Another stack runs on this database ({place_of(self._url)}): {who}. Two would start the same work twice. Stop it, "
            "or set STT_DATABASE_URL to another database."
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lock."""
        import psycopg

        if self._session:
            with suppress(psycopg.Error):  # the server may have ended first
                self._session.close()
