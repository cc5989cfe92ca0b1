"""The URL of the database: its accepted forms, and a check that the server is reachable.

The embedded server is in ``embedded.py``.
"""

import time

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from stt_pipeline.errors import ConfigurationError

_CONNECT_TIMEOUT = 4  # seconds, per address of the host name
_POLL_SECONDS = 0.2
# of the server's messages while it starts, stops or does crash recovery (postmaster.c)
_RESTARTING = ("starting up", "shutting down", "recovery mode", "not yet accepting connections")


def psycopg_url(url: str) -> str:
    """Return ``url`` as the store uses it, ``postgresql+psycopg://`` (psycopg 3, for COPY).

    Args:
        url: ``postgresql://``, ``postgres://`` or ``postgresql+driver://``, password included.

    Raises:
        ConfigurationError: ``url`` is not the URL of a Postgres database. The message does not contain the URL.
    """
    return _with_driver(url, "postgresql+psycopg")


def psycopg2_url(url: str) -> str:
    """Return ``url`` as Dagster's storage uses it, ``postgresql+psycopg2://``.

    dagster-postgres sends ``NOTIFY`` with parameters, which psycopg 3 (the default of SQLAlchemy 2.1 for
    ``postgresql://``) refuses.

    Raises:
        ConfigurationError: ``url`` is not the URL of a Postgres database.
    """
    return _with_driver(url, "postgresql+psycopg2")


def libpq_url(url: str) -> str:
    """Return ``url`` as libpq takes it, without a driver.

    Raises:
        ConfigurationError: ``url`` is not the URL of a Postgres database.
    """
    return _with_driver(url, "postgresql")


def place_of(url: str) -> str:
    """Return host, port and database of ``url`` for messages, without user and password."""
    parsed = _parsed(url)
    host = parsed.host or parsed.query.get("host") or "localhost"
    port = parsed.port or parsed.query.get("port") or 5432
    return f"{host}, port {port}, database {parsed.database or parsed.username or 'postgres'}"


def require_reachable(url: str, *, wait_seconds: float = 0.0) -> None:
    """Check that the server at ``url`` accepts a connection.

    Args:
        wait_seconds: how long to wait for a server that does not answer, as while it restarts.

    Raises:
        ConfigurationError: the server does not answer, or refuses the connection; the message has host, port and reason.
    """
    import psycopg

    parsed = _parsed(url)
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            psycopg.connect(_render(parsed, "postgresql"), connect_timeout=_CONNECT_TIMEOUT).close()
            return
        except psycopg.Error as error:
            if not may_come_back(error) or time.monotonic() > deadline:
                raise _unreachable(parsed, error) from None
        time.sleep(_POLL_SECONDS)


def may_come_back(error: BaseException) -> bool:
    """Return whether a failed connection may succeed soon: no server answered, or it restarts. A wrong password does not."""
    text = str(error)  # libpq gives no SQLSTATE for a failed connection
    return "FATAL" not in text or any(reason in text for reason in _RESTARTING)


def _unreachable(parsed: URL, error: Exception) -> ConfigurationError:
    reason = " ".join(str(error).split()) or type(error).__name__
    if parsed.password:
        reason = reason.replace(str(parsed.password), "***")
    place = place_of(_render(parsed, "postgresql"))
    return ConfigurationError(
        f"Postgres cannot be used: {place} (user {parsed.username or 'of this system'}). {reason} "
        "Check that STT_DATABASE_URL names the right host, port, user, password and database, that the server "
        "runs and that no firewall blocks it; or unset it to use the embedded Postgres."
    )


def _with_driver(url: str, driver: str) -> str:
    return _render(_parsed(url), driver)


def _render(url: URL, driver: str) -> str:
    return url.set(drivername=driver).render_as_string(hide_password=False)


def _parsed(url: str) -> URL:
    if (
        url.count("@") > 1
    ):  # SQLAlchemy ends the password at the first one, so its rest would be shown as the host
        raise ConfigurationError(
            "STT_DATABASE_URL has more than one @, so it is unclear where the password ends. Write special characters of user, "
            "password and parameters percent-encoded: %40 for @."
        )
    try:
        # libpq accepts postgres:// too, SQLAlchemy does not
        parsed = make_url(url.strip().replace("postgres://", "postgresql://", 1))
        # an @ in the database's name: a user with a slash, so the password is part of the name
        if parsed.get_backend_name() == "postgresql" and "@" not in (parsed.database or ""):
            return parsed
    except (ArgumentError, ValueError):  # ValueError: the port is not a number
        pass
    raise ConfigurationError(
        "STT_DATABASE_URL is not the URL of a Postgres database. Write postgresql://user:password@host:port/name, "
        "with special characters of user and password percent-encoded."
    )
