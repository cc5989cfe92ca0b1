"""The API as a process: who may be let in at all, and the web server around the app."""

import threading
from contextlib import suppress

import uvicorn

from stt_pipeline.api.access import is_loopback
from stt_pipeline.api.app import create_app
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings
from stt_pipeline.speech import korean
from stt_pipeline.store.access import api_keys
from stt_pipeline.store.database import Database

_CONNECTIONS = 20  # half as many as starlette has threads: more would only wait within Postgres
_MOST_REQUESTS = 1_000  # connections at once, streams included; the next are answered with 503
_STOP_SECONDS = 3  # for requests under way; streams would never end by themselves


class NoKeyError(ConfigurationError):
    """Nobody has a key yet; once somebody has, the API can start."""


def require_way_in(settings: Settings, database: Database) -> None:
    """Make sure that somebody may call the API, and not just anybody.

    Raises:
        NoKeyError: there is no key.
        ConfigurationError: development mode would let in the network.
    """
    if settings.development:
        if not is_loopback(settings.api_host):
            raise ConfigurationError(
                f"STT_DEVELOPMENT lets in everybody as admin, and STT_API_HOST={settings.api_host} is not only this "
                "machine. Make a key with `stt key create --role admin`, and unset STT_DEVELOPMENT."
            )
        return
    with database.begin() as connection:
        has_key = api_keys.has_any(connection)
    if not has_key:
        raise NoKeyError(
            "Nobody has a key for the admin API yet. Make one with `stt key create --role admin`, or set "
            "STT_DEVELOPMENT=true on a machine of your own."
        )


def serve(settings: Settings, url: str, *, port: int) -> None:
    """Serve the API on ``url``'s database until SIGINT or SIGTERM.

    Raises:
        ConfigurationError: a setting cannot be used, or nobody could call it.
    """
    database = Database(url, connections=_CONNECTIONS, statement_seconds=settings.api_statement_seconds)
    try:
        require_way_in(settings, database)
        config = uvicorn.Config(
            create_app(settings, database),
            host=settings.api_host,
            port=port,
            log_level="warning",
            access_log=False,
            server_header=False,
            # an address in a header is anybody's word: rates of callers without a key go by the connection's
            proxy_headers=False,
            lifespan="off",
            limit_concurrency=_MOST_REQUESTS,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        # the first search would wait for seconds
        threading.Thread(target=korean.morphemes, args=("회의",), name="analyser", daemon=True).start()
        # once it has stopped, the server raises the signal that stopped it again
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run()
    finally:
        database.dispose()
