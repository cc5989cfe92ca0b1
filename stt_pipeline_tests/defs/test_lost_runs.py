"""Runs whose process hangs or is gone: the dispatcher ends them, and their shards are dispatched again."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import psutil
import pytest

from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.defs.worker_process import PROCESS_TAG, process_of, tag_process
from stt_pipeline.store import tables
from stt_pipeline_tests.batches.recordings import scanned
from stt_pipeline_tests.defs.conftest import Product
from stt_pipeline_tests.rows import Rows

Status = dg.DagsterRunStatus


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for the worker of a run."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


@pytest.fixture
def bystander(product: Product, tmp_path: Path) -> None:
    """A batch that always waits for a run, so that every tick returns at once."""
    (tmp_path / "bystander").mkdir()
    create_batch(product.database, BatchRequest(source_path=str(tmp_path / "bystander")))


def tagged(product: Product, run_id: str, pid: int) -> dg.DagsterRun:
    """Tag a run with the process ``pid``, as that process does itself."""
    run = product.instance.get_run_by_id(run_id)
    assert run is not None
    tag_process(product.instance, run, pid=pid)
    found = product.instance.get_run_by_id(run_id)
    assert found is not None
    return found


def started(product: Product, folder: Path) -> tuple[str, list[str], ShardClaims]:
    """Return a started run, the keys of its shards, and its claim, whose heartbeats have stopped."""
    folder.mkdir()
    (folder / "a.wav").touch()
    batch, _, keys = scanned(product.database, folder)
    product.instance.add_dynamic_partitions("audio", keys)
    (request,) = (request for request in product.tick() if request.tags["stt/batch"] == str(batch.id))
    run_id = product.queue(request, Status.STARTED)
    claim = ClaimRequest(keys, "transcribe", run_id, token=request.run_key)
    claims = ShardClaims(product.database, claim, lease_seconds=600, max_attempts=3)
    claims.__enter__()
    assert claims.shards
    claims.heartbeat.stop()
    return run_id, keys, claims


def redispatched(product: Product, keys: list[str]) -> bool:
    return any(request.partition_key in keys for request in product.tick())


@pytest.mark.slow
@pytest.mark.usefixtures("bystander")
def test_a_run_that_sends_no_heartbeat_is_ended_and_its_process_killed(
    product: Product, tmp_path: Path, worker: subprocess.Popen[bytes]
) -> None:
    run_id, keys, _ = started(product, tmp_path / "in")
    tagged(product, run_id, worker.pid)
    worker.send_signal(signal.SIGSTOP)
    assert not redispatched(product, keys)
    assert product.status(run_id) == Status.STARTED
    Rows(product.database).expire_leases(tables.shards)
    assert redispatched(product, keys)
    assert product.status(run_id) == Status.FAILURE
    assert worker.wait(60) == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.usefixtures("bystander")
def test_a_run_whose_process_is_gone_loses_its_lease_at_once(
    product: Product, tmp_path: Path, worker: subprocess.Popen[bytes]
) -> None:
    run_id, keys, _ = started(product, tmp_path / "in")
    tagged(product, run_id, worker.pid)
    worker.kill()  # a zombie is gone too
    psutil.wait_procs([psutil.Process(worker.pid)], timeout=5)
    assert redispatched(product, keys)
    assert product.status(run_id) == Status.FAILURE


@pytest.mark.slow
@pytest.mark.usefixtures("bystander")
def test_a_run_that_was_marked_as_ended_loses_its_lease_and_its_process(
    product: Product, tmp_path: Path, worker: subprocess.Popen[bytes]
) -> None:
    run_id, keys, _ = started(product, tmp_path / "in")
    product.instance.report_run_canceled(tagged(product, run_id, worker.pid))
    assert redispatched(product, keys)
    assert worker.wait(60) == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.usefixtures("bystander")
def test_a_run_that_claims_nothing_after_its_start_is_ended(
    product: Product, tmp_path: Path, worker: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.wav").touch()
    batch, _, keys = scanned(product.database, tmp_path / "in")
    product.instance.add_dynamic_partitions("audio", keys)
    (request,) = (request for request in product.tick() if request.tags["stt/batch"] == str(batch.id))
    runs = [product.queue(request, Status.STARTING) for _ in range(2)]
    job = str(request.job_name)
    for run_id, seconds in zip(runs, (0, 600), strict=True):
        event = dg.DagsterEvent(event_type_value="PIPELINE_START", job_name=job)
        product.instance.report_dagster_event(event, run_id, timestamp=time.time() - seconds)
    tagged(product, runs[1], worker.pid)
    product.tick()
    assert [product.status(run_id) for run_id in runs] == [Status.STARTED, Status.FAILURE]
    assert worker.wait(60) == -signal.SIGKILL


def test_a_process_is_told_from_others(product: Product, worker: subprocess.Popen[bytes]) -> None:
    run_id = product.queue(dg.RunRequest(job_name="maintenance"), Status.STARTED)
    run = tagged(product, run_id, worker.pid)
    process = process_of(run)
    assert process is not None
    assert not process.is_gone()
    # a later process with the same id
    later = replace(process, started="0")
    later.kill()
    assert later.is_gone()
    # a process of a container or of another machine
    elsewhere = replace(process, machine="elsewhere", started="0")
    elsewhere.kill()
    assert not elsewhere.is_gone()
    assert worker.poll() is None
    # a re-execution copies the tags of its parent
    copy = product.queue(
        dg.RunRequest(job_name="maintenance"), Status.STARTED, **{PROCESS_TAG: run.tags[PROCESS_TAG]}
    )
    copied = product.instance.get_run_by_id(copy)
    assert copied is not None
    assert process_of(copied) is None
    process.kill()
    assert worker.wait(60) == -signal.SIGKILL
    assert process.is_gone()
