"""`stt api`: runs the admin API without Dagster. `stt up` also starts the API."""

from typing import Annotated

import typer

from stt_pipeline.cli.connection import connected
from stt_pipeline.cli.processes import ReservedPorts, http_address
from stt_pipeline.cli.terminal import print_result
from stt_pipeline.settings import Settings


def api(
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the API, instead of STT_API_PORT.")
    ] = None,
) -> None:
    """Serve the admin API until Ctrl-C. `stt key create` creates a key for it; docs/api.md shows the calls."""
    from stt_pipeline.api.server import require_key, serve

    settings = Settings()
    host, wanted = settings.api_host, settings.api_port if port is None else port
    with connected() as database, ReservedPorts() as ports:
        require_key(settings, database)
        free = ports.reserve(host, wanted, what="The admin API", setting="STT_API_PORT")
        line = f"Admin API {http_address(host, free)} · stop with Ctrl-C"
        serve(settings, database.url, port=free, on_ready=lambda: print_result(line))
