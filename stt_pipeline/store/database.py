"""The connection to Postgres. Queries are in the modules beside this one, each a function that takes a connection.

Transactions are opened by the callers (``with database.begin() as connection``), so that what belongs together
is committed together.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection, NullPool, create_engine

_CONNECT_SECONDS = 10


class Database:
    """A small pool of connections to one Postgres database; one object a process is enough, and it is thread-safe."""

    def __init__(self, url: str, *, connections: int = 12, statement_seconds: float = 0.0) -> None:
        """Prepare a pool for ``url`` (``postgresql+psycopg://...``); nothing connects before the first query.

        Args:
            connections: at most so many at once; who finds none free waits.
            statement_seconds: a longer query is given up, with an ``OperationalError``; 0 waits for ever.
        """
        self.url = url
        arguments: dict[str, object] = {"connect_timeout": _CONNECT_SECONDS}
        if statement_seconds:
            arguments["options"] = f"-c statement_timeout={statement_seconds * 1000:.0f}"
        self._engine = create_engine(
            url,
            # kept once opened: opening one costs as much as ten queries
            pool_size=connections,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args=arguments,
            hide_parameters=True,  # errors are logged, and parameters are names and addresses of people
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
        """Lend a connection for reading that sees one moment, however many queries are made on it."""
        with self._engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            yield connection

    def scratch(self) -> Connection:
        """Return a connection without a transaction, for temporary tables and session locks, which end with it."""
        return self._unpooled.connect()

    def dispose(self) -> None:
        """Close the pooled connections."""
        self._engine.dispose()
