"""What assets are given: configuration that hands out plain objects of the rooms below.

A model is held by its room for the life of the process, never by a resource, which lives for one run. Tests pass plain
fakes to ``build_definitions`` instead.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import dagster as dg

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.batches.stages.publish import SummarizerFor
from stt_pipeline.batches.stages.transcribe import DiarizerFor, TranscriberFor
from stt_pipeline.mail.mailer import Mailer, load_mailer
from stt_pipeline.minutes.extractive import ExtractiveSummarizer
from stt_pipeline.minutes.model import Summarizer
from stt_pipeline.settings import Settings
from stt_pipeline.speech.diarization import Diarizer, load_diarizer
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.models import LoadedModel, load_model
from stt_pipeline.speech.transcriber import Transcriber
from stt_pipeline.store.database import Database
from stt_pipeline.store.server.embedded import with_database

if TYPE_CHECKING:
    from dagster_aws.s3 import S3Resource

OpenMailer = Callable[[], Mailer]

# waits of 1, 2, 4, ... seconds, less a random part, come between: half a minute for a run. A sensor looks again soon, and
# what is wrong is to be said before it gives the look up
_ATTEMPTS_OF_RUNS = 5
_ATTEMPTS_OF_SENSORS = 2


class SettingsResource(dg.ConfigurableResource[Settings]):
    """The STT_* variables of the process that executes the run."""

    def create_resource(self, context: dg.InitResourceContext) -> Settings:
        """Read the environment."""
        return Settings()


def sources_resource(s3: "S3Resource | None" = None) -> dg.ResourceDefinition:
    """Return the resource ``sources``: the places of STT_ALLOWED_SOURCES, buckets reached through Dagster's S3 resource.

    Args:
        s3: as configured in code; None takes the STT_S3_* variables. (Importing ``dagster_aws`` takes most of a second, so
            that happens when a bucket is opened first.)
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

    return dg.ResourceDefinition(allowed_sources, description="Where batches may take recordings from.")


class DatabaseResource(dg.ConfigurableResource[Database]):
    """The store's database: STT_DATABASE_URL, or the embedded Postgres that `stt up` runs."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Database]:
        """Lend a pool of connections for the run."""
        with with_database(Settings()) as url:
            database = Database(url)
            try:
                yield database
            finally:
                database.dispose()


_Asked = ParamSpec("_Asked")
_Model = TypeVar("_Model")


def _once_a_process(load: Callable[_Asked, _Model]) -> Callable[_Asked, _Model]:
    """Return ``load`` for use in any thread; what it returned is kept, and nobody loads beside another."""
    lock, kept = threading.Lock(), cache(load)

    @wraps(load)
    def loaded(*asked: _Asked.args, **wishes: _Asked.kwargs) -> _Model:
        with lock:
            return kept(*asked, **wishes)  # type: ignore[arg-type]  # they are all hashable

    return loaded


@_once_a_process
def _engine(loaded: LoadedModel, batch_size: int) -> Engine:
    """Return the engine of a model: one a process, as the model is."""
    return Engine(loaded, batch_size=batch_size)


class TranscriberResource(dg.ConfigurableResource[TranscriberFor]):
    """The speech model that a batch asks for, else STT_MODEL's; loaded once a process."""

    def create_resource(self, context: dg.InitResourceContext) -> TranscriberFor:
        """Return a function from a batch's options to its transcriber."""
        settings = Settings()

        def transcriber_for(options: BatchOptions) -> Transcriber:
            loaded = load_model(
                options.model or settings.model,
                settings.device,
                settings.compute_type,
                settings.cpu_threads,
            )
            return _engine(loaded, settings.model_batch_size)

        return transcriber_for


@_once_a_process
def _diarizer(name: str, pyannote_pipeline: str, device: str) -> Diarizer:
    """Return the diarizer of that name: one a process, since it holds models."""
    return load_diarizer(name, pyannote_pipeline=pyannote_pipeline, device=device)


class DiarizerResource(dg.ConfigurableResource[DiarizerFor]):
    """The diarizer that a batch asks for, else STT_DIARIZER's."""

    def create_resource(self, context: dg.InitResourceContext) -> DiarizerFor:
        """Return a function from a batch's options to its diarizer."""
        settings = Settings()

        def diarizer_for(options: BatchOptions) -> Diarizer:
            name = options.diarizer or settings.diarizer
            return _diarizer(name, settings.pyannote_pipeline, settings.device)

        return diarizer_for


class SummarizerResource(dg.ConfigurableResource[SummarizerFor]):
    """Who writes the minutes."""

    def create_resource(self, context: dg.InitResourceContext) -> SummarizerFor:
        """Return a function from a batch's options to its summarizer."""

        def summarizer_for(options: BatchOptions) -> Summarizer:
            return ExtractiveSummarizer()

        return summarizer_for


class MailerResource(dg.ConfigurableResource[OpenMailer]):
    """The way mails leave: STT_SMTP_URL, or .eml files in the outbox."""

    def create_resource(self, context: dg.InitResourceContext) -> OpenMailer:
        """Return a function that makes the mailer, so that a wrong setting shows where it is used."""
        settings = Settings()
        return lambda: load_mailer(settings.smtp_url, settings.outbox, settings.mail_from)
