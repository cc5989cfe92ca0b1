"""Runs the API as a process: checks that a key exists, then starts the web server."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from stt_pipeline.api.access import is_loopback
from stt_pipeline.api.app import create_app
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings
from stt_pipeline.speech import korean
from stt_pipeline.speech.freed_memory import limit_heaps
from stt_pipeline.store.access import api_keys
from stt_pipeline.store.database import Database

_CONNECTIONS = 20  # half the number of starlette's threads: more would only wait inside Postgres
_MAX_CONNECTIONS = 1_000  # HTTP connections at a time, including streams; others get 503
_HEAPS = 2  # more keep memory, and save no time: the threads share the interpreter's lock
_STOP_SECONDS = 3  # for active requests; streams would not end


class NoKeyError(ConfigurationError):
    """No API key exists yet; as soon as one exists, the API can start."""


def require_key(settings: Settings, database: Database) -> None:
    """Check that an API key exists, or that development mode is limited to this machine.

    Raises:
        NoKeyError: no key exists.
        ConfigurationError: development mode would be open to the network.
    """
    if settings.development:
        if not is_loopback(settings.api_host):
            raise ConfigurationError(
                f"STT_DEVELOPMENT makes every caller an admin, and STT_API_HOST={settings.api_host} is not limited to this "
                "machine. Create a key with `stt key create --role admin`, and unset STT_DEVELOPMENT."
            )
        return
    with database.begin() as connection:
        has_key = api_keys.has_any(connection)
    if not has_key:
        raise NoKeyError(
            "The admin API has no key yet. Create one with `stt key create --role admin`, or set STT_DEVELOPMENT=true on "
            "your own machine."
        )


class _Server(uvicorn.Server):
    """Calls ``on_ready`` when the port accepts connections."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()


def serve(settings: Settings, url: str, *, port: int, on_ready: Callable[[], None]) -> None:
    """Serve the API on ``url``'s database until SIGINT or SIGTERM; call ``on_ready`` once it answers.

    Raises:
        ConfigurationError: a setting is invalid, or no key exists.
    """
    limit_heaps(_HEAPS)
    database = Database(url, connections=_CONNECTIONS, statement_seconds=settings.api_statement_seconds)
    try:
        require_key(settings, database)
        config = uvicorn.Config(
            create_app(settings, database),
            host=settings.api_host,
            port=port,
            log_level="warning",
            access_log=False,
            server_header=False,
            # a forwarded address is untrusted: rate limits without a key use that of the connection
            proxy_headers=False,
            lifespan="off",
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        # loads the analyser now, since the first search would wait for seconds
        threading.Thread(target=korean.morphemes, args=("회의",), name="analyser", daemon=True).start()
        # after its stop the server raises the signal again
        with suppress(KeyboardInterrupt):
            _Server(config, on_ready).run()
    finally:
        database.dispose()
