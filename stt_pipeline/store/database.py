"""The connection to Postgres. Queries are functions in the other modules of the store, and take a connection.

Callers open the transaction (``with database.begin() as connection``), so they decide what is committed together.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection, NullPool, create_engine

_CONNECT_SECONDS = 10


class Database:
    """A small pool of connections to one Postgres database. Thread-safe; one object per process is enough."""

    def __init__(self, url: str, *, connections: int = 12, statement_seconds: float = 0.0) -> None:
        """Create a pool for ``url`` (``postgresql+psycopg://...``); the first query opens the first connection.

        Args:
            connections: maximum number of open connections; a caller waits if none is free.
            statement_seconds: timeout of a query, which then raises ``OperationalError``; 0 is no timeout.
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
