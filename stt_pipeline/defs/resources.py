"""The Dagster resources of the assets. Each creates a plain object of a lower layer.

A resource lives for one run; models live as long as the process, in the registries of `stt_pipeline.backends`. Tests pass
plain fakes to ``build_definitions`` instead.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import dagster as dg

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.requests import backend_choice
from stt_pipeline.batches.requests.backend_choice import BackendFor
from stt_pipeline.batches.stages.publish import SummarizerFor
from stt_pipeline.batches.stages.transcribe import DiarizerFor
from stt_pipeline.defs.settings_at_load import settings_at_load
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.notify.notifier import NotifierFor
from stt_pipeline.settings import Settings
from stt_pipeline.speech.transcriber import Transcriber
from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import upgrade
from stt_pipeline.store.server.embedded import with_database
from stt_pipeline.store.server.url import place_of

if TYPE_CHECKING:
    from dagster_aws.s3 import S3Resource

# botocore waits 1, 2, 4, ... seconds with jitter between attempts: up to half a minute in a run. A sensor ticks again soon,
# and must report the error before its tick times out.
_ATTEMPTS_OF_RUNS = 5
# Postgres may be restarted; crash recovery takes seconds. A sensor's tick may take 60 s
RECONNECT_SECONDS = 20.0
_ATTEMPTS_OF_SENSORS = 2

_INVALID = "the settings are invalid; a run shows what is wrong."


def resources(s3: "S3Resource | None" = None) -> dict[str, dg.ResourceDefinition]:
    """Return the resources by name, each with a description of what it points at on this machine.

    Args:
        s3: the connection to buckets, configured in code; None takes the STT_S3_* variables.
    """
    settings = settings_at_load()

    def named(
        make: Callable[..., object], what: str, target: Callable[[Settings], str]
    ) -> dg.ResourceDefinition:
        points_at = _INVALID if settings is None else target(settings)
        return dg.ResourceDefinition(make, config_schema={}, description=f"{what}. Here: {points_at}")

    return {
        "settings": named(_settings, "The STT_* variables of the process that executes the run", _home),
        "database": named(_database, "The database of batches, transcripts and minutes", _database_place),
        "sources": named(_sources(s3), "The sources that batches may read", _source_places),
        "transcribers": named(_transcribers, "The transcriber of a batch, by its options", _transcriber),
        "diarizers": named(
            _diarizers, "The diarizer of a batch, by its options", lambda its: f"{its.diarizer}."
        ),
        "summarizers": named(
            _summarizers, "The writer of minutes of a batch, by its options", lambda its: f"{its.summarizer}."
        ),
        "notifiers": named(_notifiers, "The notifiers of recipients, by scheme", _mail_server),
    }


def _settings(context: dg.InitResourceContext) -> Settings:
    return Settings()


def _database(context: dg.InitResourceContext) -> Iterator[Database]:
    """Yield a pool of connections, and close it at the end of the run."""
    settings = Settings()
    with with_database(settings, wait_seconds=RECONNECT_SECONDS) as url:
        if not settings.database_url:
            # without `stt up` and `stt db upgrade`, as under `dagster dev` in a fresh clone
            upgrade(url)
        database = Database(url, reconnect_seconds=RECONNECT_SECONDS)
        try:
            yield database
        finally:
            database.dispose()


def _sources(s3: "S3Resource | None") -> Callable[[dg.InitResourceContext], AllowedSources]:
    """Return what opens the sources in STT_ALLOWED_SOURCES, with buckets opened by Dagster's S3 resource.

    ``dagster_aws`` takes most of a second to import, so it is imported when the first bucket is opened.
    """

    def make_client(settings: Settings, attempts: int) -> Any:
        from dagster_aws.s3 import S3Resource

        configured = s3 or S3Resource(
            endpoint_url=settings.s3_endpoint_url or None,
            region_name=settings.s3_region or None,
            profile_name=settings.s3_profile or None,
            max_attempts=attempts,
        )
        return configured.process_config_and_initialize().get_client()

    def allowed_sources(context: dg.InitResourceContext) -> AllowedSources:
        settings = Settings()
        attempts = _ATTEMPTS_OF_SENSORS if context.run is None else _ATTEMPTS_OF_RUNS
        access = SourceAccess.of(settings, lambda: make_client(settings, attempts))
        return AllowedSources.for_users(settings.allowed_sources, access)

    return allowed_sources


def _transcribers(context: dg.InitResourceContext) -> BackendFor[Transcriber]:
    return backend_choice.transcriber_for(Settings())


def _diarizers(context: dg.InitResourceContext) -> DiarizerFor:
    return backend_choice.diarizer_for(Settings())


def _summarizers(context: dg.InitResourceContext) -> SummarizerFor:
    return backend_choice.summarizer_for(Settings())


def _notifiers(context: dg.InitResourceContext) -> NotifierFor:
    """Return a function from a recipient to its notifier. A wrong setting raises when the function is called."""
    return backend_choice.notifier_for(Settings())


def _home(settings: Settings) -> str:
    return f"STT_HOME is {settings.home.absolute()}."


def _database_place(settings: Settings) -> str:
    if not settings.database_url:
        return f"the embedded Postgres in {settings.postgres_folder}."
    try:
        return f"{place_of(settings.database_url)}."
    except ConfigurationError:  # its message is shown by the run that connects
        return "STT_DATABASE_URL, which is not the URL of a Postgres database."


def _source_places(settings: Settings) -> str:
    places = settings.allowed_sources or "every folder and bucket, because STT_ALLOWED_SOURCES is empty"
    server = (
        f" Buckets are on {without_password(settings.s3_endpoint_url)}." if settings.s3_endpoint_url else ""
    )
    return f"{places}.{server}"


def _transcriber(settings: Settings) -> str:
    return f"{settings.transcriber}, model {settings.model} on device {settings.device}."


def _mail_server(settings: Settings) -> str:
    if not settings.smtp_url:
        return f"mails become files in {settings.outbox}, because STT_SMTP_URL is empty."
    return f"mails go to {without_password(settings.smtp_url)}."


def without_password(url: str) -> str:
    """Return scheme, host and port of a URL, without user, password, path and query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an invalid URL"
    return f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else "an invalid URL"
