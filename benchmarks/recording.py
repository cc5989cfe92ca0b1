"""What one recording costs in a batch with a shard for each: statements, events and CPU time, without speech models.

The runs of the second of two equal batches are executed in this process, as a worker executes them, on the embedded Postgres.
So no process start and no other server is part of the figures, and statements and events do not depend on other programs.
CPU time of a run includes its decoding processes. Transcriber, diarizer and summarizer return at once (``instant_speech``).
"""

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

import dagster as dg
import psutil
from sqlalchemy import event
from sqlalchemy.engine import Engine

from benchmarks.cpu_time import cpu_seconds
from benchmarks.instances import closing_database
from benchmarks.instant_speech import defs
from benchmarks.orchestration import write_recordings
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.cli.environment import prepare_dagster_home
from stt_pipeline.defs.sensors.batch_dispatcher import batch_dispatcher
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import upgrade
from stt_pipeline.store.server.embedded import EmbeddedPostgres
from stt_pipeline.store.server.postmaster import running_postmaster
from stt_pipeline.store.server.url import psycopg2_url

STAGES = ("transcribe_audio", "publish_minutes")


def main() -> None:
    """Run two batches and print the figures of the second one, for each stage."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=50)
    files: int = arguments.parse_args().files
    with tempfile.TemporaryDirectory(prefix="stt-recording-") as folder:
        recordings = Path(folder, "recordings")
        write_recordings(recordings, files)
        settings = Settings(home=Path(folder, "home"), database_url="", smtp_url="")
        prepare_dagster_home(settings)
        with EmbeddedPostgres(settings) as postgres:
            upgrade(postgres.url)
            os.environ |= {
                "STT_HOME": str(settings.home),
                "STT_DATABASE_URL": postgres.url,
                "STT_DAGSTER_POSTGRES_URL": psycopg2_url(postgres.url),
            }
            with (
                closing_database(postgres.url) as database,
                dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance,
            ):
                worker = _Worker(instance, database, settings)
                for _ in range(2):  # the first one imports modules and fills caches
                    figures = worker.process(recordings, files)
    print(json.dumps({"files": files, "a file": figures}))


class _Worker:
    """Does what the daemon and the runs of `stt up` do for one batch after the other."""

    def __init__(self, instance: dg.DagsterInstance, database: Database, settings: Settings) -> None:
        postmaster = running_postmaster(settings.postgres_folder)
        assert postmaster is not None
        self._postgres = psutil.Process(postmaster.pid)
        self._instance = instance
        self._database = database
        self._settings = settings
        self._statements = 0
        event.listen(Engine, "before_cursor_execute", self._count)

    def process(self, recordings: Path, files: int) -> dict[str, dict[str, float]]:
        """Complete a batch; return the figures of a file by stage."""
        create_batch(
            self._database, BatchRequest(source_path=str(recordings), notify_emails=["team@example.com"])
        )
        totals = {stage: Counter[str]() for stage in STAGES}
        job = ""
        while job != "report_batch":
            for request in self._tick():
                job = request.job_name or ""
                used = self._execute(request)
                if job in totals:
                    totals[job].update(used)
        return {
            stage: {name: round(value / files, 2) for name, value in total.items()}
            for stage, total in totals.items()
        }

    def _execute(self, request: dg.RunRequest) -> dict[str, float]:
        this = psutil.Process()
        cpu, postgres, self._statements = cpu_seconds(this), cpu_seconds(self._postgres), 0
        run = defs.resolve_job_def(request.job_name or "").execute_in_process(
            instance=self._instance,
            partition_key=request.partition_key,
            tags={**request.tags, "dagster/run_key": request.run_key or ""},
        )
        return {
            "cpu_ms": 1000 * (cpu_seconds(this) - cpu),
            "postgres_cpu_ms": 1000 * (cpu_seconds(self._postgres) - postgres),
            "statements": self._statements,
            "rows_of_event_log": len(self._instance.all_logs(run.run_id)),
        }

    def _tick(self) -> list[dg.RunRequest]:
        """Return the runs that the dispatcher requests now, perhaps after a short wait."""
        context = dg.build_sensor_context(
            self._instance, resources={"database": self._database, "settings": self._settings}
        )
        result = batch_dispatcher(context)
        if not isinstance(result, dg.SensorResult):
            time.sleep(0.1)
            return []
        for request in result.dynamic_partitions_requests or []:
            self._instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        return list(result.run_requests or [])

    def _count(self, *_: object) -> None:
        self._statements += 1


if __name__ == "__main__":
    main()
