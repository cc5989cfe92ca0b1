"""The Dagster resources of the assets. Each creates a plain object of a lower layer.

A resource lives for one run; models live as long as the process, in the registries of `stt_pipeline.backends`. Tests pass
plain fakes to ``build_definitions`` instead.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.requests import backend_choice
from stt_pipeline.batches.requests.backend_choice import BackendFor
from stt_pipeline.batches.stages.publish import SummarizerFor
from stt_pipeline.batches.stages.transcribe import DiarizerFor
from stt_pipeline.notify.notifier import NotifierFor
from stt_pipeline.settings import Settings
from stt_pipeline.speech.transcriber import Transcriber
from stt_pipeline.store.database import Database
from stt_pipeline.store.server.embedded import with_database

if TYPE_CHECKING:
    from dagster_aws.s3 import S3Resource

# botocore waits 1, 2, 4, ... seconds with jitter between attempts: up to half a minute in a run. A sensor ticks again soon,
# and must report the error before its tick times out.
_ATTEMPTS_OF_RUNS = 5
_ATTEMPTS_OF_SENSORS = 2


class SettingsResource(dg.ConfigurableResource[Settings]):
    """The STT_* variables of the process that executes the run."""

    def create_resource(self, context: dg.InitResourceContext) -> Settings:
        """Read the environment."""
        return Settings()


def sources_resource(s3: "S3Resource | None" = None) -> dg.ResourceDefinition:
    """Return the resource ``sources``: the sources in STT_ALLOWED_SOURCES, with buckets opened by Dagster's S3 resource.

    Args:
        s3: configured in code; None takes the STT_S3_* variables. ``dagster_aws`` takes most of a second to import, so it
            is imported when the first bucket is opened.
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

    return dg.ResourceDefinition(allowed_sources, description="The sources that batches may read.")


class DatabaseResource(dg.ConfigurableResource[Database]):
    """The store's database: STT_DATABASE_URL, or the embedded Postgres that `stt up` runs."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Database]:
        """Yield a pool of connections, and close it at the end of the run."""
        with with_database(Settings()) as url:
            database = Database(url)
            try:
                yield database
            finally:
                database.dispose()


class TranscriberResource(dg.ConfigurableResource[BackendFor[Transcriber]]):
    """The transcriber of a batch: its option ``transcriber``, else STT_TRANSCRIBER."""

    def create_resource(self, context: dg.InitResourceContext) -> BackendFor[Transcriber]:
        """Return a function from the options of a batch to its transcriber."""
        return backend_choice.transcriber_for(Settings())


class DiarizerResource(dg.ConfigurableResource[DiarizerFor]):
    """The diarizer of a batch: its option ``diarizer``, else STT_DIARIZER."""

    def create_resource(self, context: dg.InitResourceContext) -> DiarizerFor:
        """Return a function from the options of a batch to its diarizer."""
        return backend_choice.diarizer_for(Settings())


class SummarizerResource(dg.ConfigurableResource[SummarizerFor]):
    """The summarizer of a batch: its option ``summarizer``, else STT_SUMMARIZER."""

    def create_resource(self, context: dg.InitResourceContext) -> SummarizerFor:
        """Return a function from the options of a batch to its summarizer."""
        return backend_choice.summarizer_for(Settings())


class NotifierResource(dg.ConfigurableResource[NotifierFor]):
    """The notifiers of recipients, by scheme."""

    def create_resource(self, context: dg.InitResourceContext) -> NotifierFor:
        """Return a function from a recipient to its notifier. A wrong setting raises when the function is called."""
        return backend_choice.notifier_for(Settings())
