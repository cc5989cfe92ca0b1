"""A Dagster instance on the test's own database, and the product in it: everything real but speech, nothing in the background."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import RUN_KEY_TAG

from stt_pipeline.definitions import build_definitions
from stt_pipeline.defs.sensors import batch_dispatcher
from stt_pipeline.settings import Settings
from stt_pipeline.store.address import psycopg2_url
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Product:
    """The definitions and an instance. No daemon and no code server run: tests do what these would."""

    instance: dg.DagsterInstance
    database: Database
    definitions: dg.Definitions

    def tick(self) -> Sequence[dg.RunRequest]:
        """Let the dispatcher's sensor look once, and return the runs that it asks for."""
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
        """Do a run that was asked for, as a worker would; it may fail."""
        tags = {**request.tags, RUN_KEY_TAG: request.run_key or ""}
        job = self.definitions.resolve_job_def(request.job_name or "")
        return job.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            tags=tags,
            raise_on_error=False,
        )

    def run_all(self) -> list[dg.ExecuteInProcessResult]:
        """Tick and run until nothing waits for a run any more."""
        done = []
        while requests := self.tick():
            done += [self.run(request) for request in requests]
        return done

    def partitions(self, kind: str) -> list[str]:
        return list(self.instance.get_dynamic_partitions(kind))


@pytest.fixture
def product(
    database_url: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Product]:
    """The product with a speech model that says the same of every recording."""
    home = tmp_path / "home"
    (home / "dagster").mkdir(parents=True)
    (home / "dagster" / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    monkeypatch.setenv("STT_HOME", str(home))
    monkeypatch.setenv("STT_DATABASE_URL", database_url)
    monkeypatch.setenv("STT_DAGSTER_POSTGRES_URL", psycopg2_url(database_url))
    definitions = build_definitions(
        {
            "transcriber_for": lambda options: CountingTranscriber(),
            "diarizer_for": lambda options: OneSpeaker(),
        }
    )
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        yield Product(instance, database, definitions)
