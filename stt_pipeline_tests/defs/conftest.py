"""A Dagster instance on the test's own database, with fakes of the speech models, and a whole stack with the demo model."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import RUN_KEY_TAG

from stt_pipeline.audio.sound import Sound
from stt_pipeline.batches.requests.backend_choice import FixedBackend
from stt_pipeline.cli.environment import prepare_dagster_home
from stt_pipeline.cli.supervisor import Stack
from stt_pipeline.definitions import build_definitions
from stt_pipeline.defs.run_tags import FAILED_RECORDINGS_TAG
from stt_pipeline.defs.sensors.batch_dispatcher import batch_dispatcher
from stt_pipeline.settings import Settings
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline.store.database import Database
from stt_pipeline.store.server.url import psycopg2_url
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker
from stt_pipeline_tests.conftest import create_database
from stt_pipeline_tests.defs.dagster_ui import DagsterUI
from stt_pipeline_tests.defs.stack_state import running_stack


class InterruptedTranscriber(CountingTranscriber):
    """Calls ``meanwhile`` while it works on the next recording."""

    meanwhile: Callable[[], object] | None = None

    def hear(self, recording: Recording, sound: Sound) -> Transcript:
        if self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return super().hear(recording, sound)


@dataclass(frozen=True)
class Product:
    """The definitions and an instance. No daemon and no code server run: tests do their work."""

    instance: dg.DagsterInstance
    database: Database
    definitions: dg.Definitions
    transcriber: InterruptedTranscriber

    def tick(self) -> Sequence[dg.RunRequest]:
        """Evaluate one tick of the dispatcher's sensor, and return the runs that it requests."""
        context = dg.build_sensor_context(
            self.instance, resources={"database": self.database, "settings": Settings()}
        )
        result = batch_dispatcher(context)
        if not isinstance(result, dg.SensorResult):
            return []
        for request in result.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        return list(result.run_requests or [])

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Execute a requested run, as a worker does; it may fail."""
        tags = {**request.tags, RUN_KEY_TAG: request.run_key or ""}
        job = self.definitions.resolve_job_def(request.job_name or "")
        return job.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            tags=tags,
            raise_on_error=False,
        )

    def run_until(self, job: str) -> dg.ExecuteInProcessResult:
        """Tick and execute the runs until one of ``job`` has ended, and return it; only recordings may fail."""
        while True:
            requests = self.tick()
            assert requests, f"no run of {job} is requested"
            for request in requests:
                done = self.run(request)
                run = self.instance.get_run_by_id(done.run_id)
                assert run is not None
                assert done.success or FAILED_RECORDINGS_TAG in run.tags, done.dagster_run.job_name
                if request.job_name == job:
                    return done

    def queue(
        self, request: dg.RunRequest, status: dg.DagsterRunStatus = dg.DagsterRunStatus.QUEUED, **tags: str
    ) -> str:
        """Create a run that no daemon starts, and return its id."""
        name = request.job_name or ""
        location = RegisteredCodeLocationOrigin("stt_pipeline")
        run = self.instance.create_run_for_job(
            self.definitions.resolve_job_def(name),
            status=status,
            tags={**request.tags, **({RUN_KEY_TAG: request.run_key} if request.run_key else {}), **tags},
            remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), name),
        )
        return run.run_id

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def partitions(self, kind: str) -> list[str]:
        return list(self.instance.get_dynamic_partitions(kind))


@pytest.fixture(scope="session")
def template(embedded_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of a database with Dagster's tables, too: Dagster takes a second to create them."""
    name = "template_dagster"
    url = create_database(embedded_url, name, "template_stt")
    settings = Settings(home=tmp_path_factory.mktemp("template"), _env_file=None)  # type: ignore[call-arg]
    prepare_dagster_home(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STT_DAGSTER_POSTGRES_URL", psycopg2_url(url))
        dg.DagsterInstance.from_config(str(settings.dagster_home)).dispose()
    return name


@pytest.fixture
def product(
    database_url: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Product]:
    """The product with a transcriber that returns the same text for every recording."""
    home = tmp_path / "home"
    monkeypatch.setenv("STT_HOME", str(home))
    prepare_dagster_home(Settings())
    monkeypatch.setenv("STT_DATABASE_URL", database_url)
    monkeypatch.setenv("STT_MAX_SHARDS_IN_FLIGHT", "1000")
    monkeypatch.setenv("STT_DAGSTER_POSTGRES_URL", psycopg2_url(database_url))
    transcriber = InterruptedTranscriber()
    definitions = build_definitions(
        {"transcribers": FixedBackend(transcriber), "diarizers": lambda options: OneSpeaker()}
    )
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        yield Product(instance, database, definitions, transcriber)


@pytest.fixture(scope="module")
def stack(s3_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All processes of `stt up`. One stack serves all tests of a module, so they use different batches."""
    with running_stack(s3_server, tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="module")
def ui(stack: Stack) -> DagsterUI:
    return DagsterUI(stack.ui_url)


@pytest.fixture(scope="module")
def store(stack: Stack) -> Iterator[Database]:
    database = Database(stack.database_url)
    yield database
    database.dispose()
