"""The state of a running stack, as the tests of the Dagster UI see it: the store, Dagster's runs, Parquet files and mails."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import fsspec
import pytest
from sqlalchemy import text

from stt_pipeline.batches.execution.dispatch import HEARTBEAT
from stt_pipeline.batches.queries.progress import Progress, progress
from stt_pipeline.cli.services import Service, dagster_services
from stt_pipeline.cli.supervisor import Stack
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.queue import batches, heartbeats, shards
from stt_pipeline_tests.conftest import point_aws_at
from stt_pipeline_tests.defs.dagster_ui import DagsterUI

WAITING = ("NOT_STARTED", "QUEUED", "STARTING")


@contextmanager
def running_stack(s3_server: str, home: Path) -> Iterator[Stack]:
    """Start all processes of `stt up`, with the demo model; results go to a bucket."""
    import boto3

    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("STT_", "DAGSTER_"))]:
            patch.delenv(name)
        patch.setenv("STT_MODEL", "demo")
        patch.setenv("STT_QUIET_PERIOD_SECONDS", "0")
        patch.setenv("STT_DATA_URI", _results(home))
        patch.setenv("STT_SQS_ENDPOINTS", s3_server)
        point_aws_at(s3_server, patch)
        boto3.client("s3").create_bucket(Bucket=_results(home).split("/")[2])
        patch.setattr("stt_pipeline.cli.supervisor.dagster_services", _with_fast_backfills)
        settings = Settings(home=home, ui_port=0, _env_file=None)
        with Stack(settings, print_status=print) as running:
            yield running


def _with_fast_backfills(*arguments: Any) -> list[Service]:
    """Return the services of a stack, with the daemon that looks for backfills every ten seconds."""
    daemon = (sys.executable, str(Path(__file__).with_name("fast_backfill_daemon.py")))
    return [
        replace(service, command=(*daemon, *service.command[3:])) if service.name == "daemon" else service
        for service in dagster_services(*arguments)
    ]


def results_of(stack: Stack) -> str:
    """Return the address of a stack's Parquet files: two stacks of one test process have batches of the same numbers."""
    return _results(Path(stack.environment["STT_HOME"]))


def _results(home: Path) -> str:
    return f"s3://results-of-{home.name}/stt"


def launch_batch(ui: DagsterUI, folder: Path, **fields: object) -> str:
    config = {"source_path": str(folder), **fields}
    return ui.launch_job("create_batch", {"ops": {"write_batch_row": {"config": config}}})


def newest_batch(store: Database) -> int:
    with store.begin() as connection:
        return batches.latest(connection, 1)[0].id


def wait_for_status(store: Database, batch_id: int, statuses: set[str], seconds: float = 240) -> Progress:
    end = time.monotonic() + seconds
    while (figures := progress(store, batch_id)).status not in statuses:
        assert time.monotonic() < end, figures
        done_or_not = figures.completed + figures.failed + figures.pending
        assert figures.total_files is None or done_or_not == figures.total_files
        time.sleep(0.5)
    return figures


def keys_of(store: Database, batch_id: int) -> dict[str, str]:
    """Return the partition key of each file of a batch, by file name."""
    with store.begin() as connection:
        found = {}
        for file in files.of_batch(connection, batch_id):
            assert file.shard_id is not None
            name = unquote(file.uri.partition("/in/")[2])
            found[name] = shards.get(connection, file.shard_id).key
        return found


def runs_of(ui: DagsterUI, batch_id: int, *statuses: str) -> dict[str, str]:
    """Return the status of each run of a batch, of all or of those that have one of ``statuses``."""
    wanted = {"statuses": statuses} if statuses else {}
    found = ui.runs(tags=[{"key": "stt/batch", "value": str(batch_id)}], **wanted)
    return {run["runId"]: run["status"] for run in found}


def wait_for_runs(ui: DagsterUI, store: Database, batch_id: int) -> None:
    """Wait until no run of a batch is unfinished."""
    end = time.monotonic() + 120
    while unfinished := runs_of(ui, batch_id, *WAITING, "STARTED", "CANCELING"):
        assert time.monotonic() < end, unfinished
        figures = progress(store, batch_id)
        assert figures.completed + figures.failed + figures.pending == figures.total_files
        time.sleep(0.3)


def wait_for_dispatcher_stop(store: Database) -> None:
    """Wait until the dispatcher has not ticked for some seconds."""
    while True:
        with store.begin() as connection:
            last = heartbeats.last_beat(connection, HEARTBEAT)
        if last is None or datetime.now(UTC) - last > timedelta(seconds=3):
            return
        time.sleep(0.2)


def mails_of(stack: Stack) -> list[Path]:
    return sorted((Path(stack.environment["STT_HOME"]) / "outbox").glob("*.eml"))


def parquet_files(stack: Stack, batch_id: int, dataset: str) -> list[str]:
    """Return the files of a dataset, ``**`` for all, that there are of a batch."""
    bucket = fsspec.filesystem("s3", skip_instance_cache=True)  # which remembers what it has listed
    return sorted(bucket.glob(f"{results_of(stack)}/{dataset}/batch={batch_id:06d}/*"))


def batches_of_watch(store: Database, watch_id: int) -> list[int]:
    with store.begin() as connection:
        found = connection.scalars(text("SELECT id FROM stt_batches WHERE watch_id = :id"), {"id": watch_id})
        return list(found)


def wait_for_load(ui: DagsterUI, store: Database, batch_id: int) -> set[str]:
    """Wait until a run works on shards of a batch and another one waits in the queue, and return what is unfinished."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        figures = progress(store, batch_id)
        assert figures.completed + figures.failed + figures.pending == (figures.total_files or 0)
        with store.begin() as connection:
            _, at_work = shards.in_flight(connection).get(batch_id, (0, 0))
        if at_work and runs_of(ui, batch_id, "QUEUED"):
            return set(runs_of(ui, batch_id, *WAITING, "STARTED"))
        time.sleep(0.2)
    raise AssertionError(runs_of(ui, batch_id))


def statuses_of(store: Database, batch_id: int) -> dict[int, str]:
    with store.begin() as connection:
        return {file.id: file.status for file in files.of_batch(connection, batch_id)}


def traces_of(store: Database, stack: Stack, batch_id: int) -> dict[str, object]:
    """Return what there is of a batch in Postgres, Dagster and Parquet."""
    queries = {
        "files": "SELECT count(*) FROM stt_audio_files WHERE batch_id = :id",
        "transcriptions": "SELECT count(*) FROM stt_transcriptions WHERE batch_id = :id",
        "shards": "SELECT count(*) FROM stt_shards WHERE batch_id = :id",
        "partitions": "SELECT count(*) FROM dynamic_partitions WHERE partition LIKE :key || '%'",
        "events": "SELECT count(*) FROM event_logs WHERE partition LIKE :key || '%'",
    }
    with store.begin() as connection:
        found: dict[str, object] = {
            kind: connection.scalar(text(query), {"id": batch_id, "key": f"{batch_id:06d}"})
            for kind, query in queries.items()
        }
    return {**found, "parquet": parquet_files(stack, batch_id, "**")}
