"""`stt up` runs the product on this machine; `stt env` prints the environment for other processes."""

import shlex
import threading
from typing import Annotated

import typer

from stt_pipeline import health
from stt_pipeline.cli.environment import environment, prepare_dagster_home
from stt_pipeline.cli.supervisor import Stack
from stt_pipeline.cli.terminal import out, print_status
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings
from stt_pipeline.store.server.embedded import running_url
from stt_pipeline.store.server.url import place_of


def up(
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the Dagster UI, instead of STT_UI_PORT.")
    ] = None,
) -> None:
    """Start Postgres if needed, the Dagster UI, its daemon and the admin API, and run until Ctrl-C."""
    settings = Settings() if port is None else Settings(ui_port=port)
    mail = health.mail(settings)
    if mail.state == "fail":  # now, and not after hours of transcription
        print_status(f"No mail can be sent. {mail.found} {mail.advice}".rstrip(), style="red")
    print_status(f"Starting in {settings.home.absolute()}; the first start takes longest ...")
    try:
        with Stack(settings, print_status=print_status, with_api=True) as stack:
            out.print(ready_line(settings, stack), soft_wrap=True)
            threading.Event().wait()  # until a signal
    except KeyboardInterrupt:
        print_status("Stopped.")


def env() -> None:
    """Print exports for a shell, so that `dagster dev` or `dagster job launch` use the same instance.

    Use it as: eval "$(stt env)"
    """
    settings = Settings()
    url = settings.database_url or running_url(settings)
    if url is None:
        raise ConfigurationError(
            "The embedded Postgres does not run: start `stt up` in another terminal first, or set STT_DATABASE_URL."
        )
    prepare_dagster_home(settings)
    for name, value in environment(settings, url).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def ready_line(settings: Settings, stack: Stack) -> str:
    """Return the addresses and places of a running stack, in one line."""
    database = place_of(settings.database_url) if settings.database_url else f"in {settings.postgres_folder}"
    mails = "SMTP" if settings.smtp_url else f"outbox {settings.outbox}"
    api = f" · admin API {stack.api_url}" if stack.api_url else ""
    return (
        f"Ready after {stack.start_seconds:.1f} s: Dagster UI {stack.ui_url}{api} · Postgres {database} · {mails} · "
        "stop with Ctrl-C"
    )
