"""The connection to Postgres. Queries are functions in the other modules of the store, and take a connection.

Callers open the transaction (``with database.begin() as connection``), so they decide what is committed together.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from stt_pipeline.store.server.url import may_come_back

_CONNECT_SECONDS = 10
_POLL_SECONDS = 0.2


def is_disconnect(error: BaseException) -> bool:
    """Return whether an error is the loss of the connection, as when Postgres is restarted; it is not about the query."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


class Database:
    """A small pool of connections to one Postgres database. Thread-safe; one object per process is enough."""

    def __init__(
        self,
        url: str,
        *,
        connections: int = 12,
        statement_seconds: float = 0.0,
        reconnect_seconds: float = 0.0,
    ) -> None:
        """Create a pool for ``url`` (``postgresql+psycopg://...``); the first query opens the first connection.

        Args:
            connections: maximum number of open connections; a caller waits if none is free.
            statement_seconds: timeout of a query, which then raises ``OperationalError``; 0 is no timeout.
            reconnect_seconds: how long a new connection waits for a server that does not answer, as while it restarts.
        """
        self.url = url
        arguments: dict[str, object] = {"connect_timeout": _CONNECT_SECONDS}
        if statement_seconds:
            arguments["options"] = f"-c statement_timeout={statement_seconds * 1000:.0f}"
        self._engine = create_engine(
            url,
            # connections stay open: opening one costs as much as ten queries
            pool_size=connections,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args=arguments,
            hide_parameters=True,  # errors are logged, and parameters contain personal data
        )
        self._unpooled = create_engine(url, poolclass=NullPool)
        if reconnect_seconds:
            for engine in (self._engine, self._unpooled):
                _wait_for_server(engine, reconnect_seconds)

    def begin(self) -> AbstractContextManager[Connection]:
        """Return a connection in a transaction that commits at the end of the block, or rolls back on an error."""
        return self._engine.begin()

    def connect(self) -> Connection:
        """Return a connection without a transaction; the caller closes it."""
        return self._engine.connect()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Yield a connection for reading whose queries all see the same snapshot of the database."""
        with self._engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            yield connection

    def scratch(self) -> Connection:
        """Return an unpooled connection, for temporary tables and session locks, which end when the caller closes it."""
        return self._unpooled.connect()

    def dispose(self) -> None:
        """Close the pooled connections."""
        self._engine.dispose()


def _wait_for_server(engine: Engine, seconds: float) -> None:
    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return dialect.connect(*arguments, **options)
            except dialect.dbapi.OperationalError as error:
                if not may_come_back(error) or time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_SECONDS)
