"""The dispatcher's sensor in a real instance: the runs that it requests, and those that it cancels."""

import json
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import GRPC_INFO_TAG, PRIORITY_TAG
from sqlalchemy import text

from stt_pipeline.batches.execution.run_size import SHARDS_PER_RUN
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests import lifecycle, retry
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.defs.stages import POOL
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline_tests.batches.recordings import scanned, write_tone
from stt_pipeline_tests.defs.conftest import Product

Status = dg.DagsterRunStatus


def _batch(product: Product, folder: Path, files: int, *, apart: bool = False, **fields: object) -> Batch:
    """Make a batch of empty files and scan it; with ``apart``, no shards are neighbours, so each gets a run."""
    folder.mkdir()
    for number in range(files):
        (folder / f"{number:03d}.wav").touch()
    batch, _, keys = scanned(product.database, folder, **fields)
    product.instance.add_dynamic_partitions("audio", keys[::-1] if apart else keys)
    return batch


def _requests(product: Product, batch: Batch) -> list[dg.RunRequest]:
    return [request for request in product.tick() if request.tags["stt/batch"] == str(batch.id)]


def _stage(product: Product, batch: Batch) -> str:
    with product.database.begin() as connection:
        return str(connection.scalar(text("SELECT stage FROM stt_batches WHERE id = :id"), {"id": batch.id}))


@pytest.fixture
def bystander(product: Product, tmp_path: Path) -> Batch:
    """A batch that always waits for a run, so that every tick returns at once."""
    (tmp_path / "bystander").mkdir()
    return create_batch(product.database, BatchRequest(source_path=str(tmp_path / "bystander")))


@pytest.mark.slow
def test_batches_take_turns_in_the_queue_within_their_priority(product: Product, tmp_path: Path) -> None:
    large = _batch(product, tmp_path / "large", 2 * SHARDS_PER_RUN["transcribe"])
    small = _batch(product, tmp_path / "small", 1)
    urgent = _batch(product, tmp_path / "urgent", 1, priority="high")
    late = _batch(product, tmp_path / "late", 1, priority="low")
    places = [(int(request.tags["stt/batch"]), int(request.tags[PRIORITY_TAG])) for request in product.tick()]
    assert sorted(places, key=lambda place: -place[1]) == [
        (urgent.id, 1000),
        (large.id, 0),
        (small.id, 0),
        (large.id, -1),
        (late.id, -1000),
    ]


def test_runs_are_cut_by_the_free_slots_of_their_pool(product: Product, tmp_path: Path) -> None:
    product.instance.event_log_storage.set_concurrency_slots(POOL["transcribe"], 4)
    batch = _batch(product, tmp_path / "in", 8)
    assert len(_requests(product, batch)) == 4


@pytest.mark.slow
def test_cancel_ends_every_run_of_the_batch_wherever_it_stands(
    product: Product, bystander: Batch, tmp_path: Path
) -> None:
    cancelled = _batch(product, tmp_path / "cancelled", 4, apart=True)
    other = _batch(product, tmp_path / "other", 1)
    requests = product.tick()
    queued, made, starting, started = (r for r in requests if r.tags["stt/batch"] == str(cancelled.id))
    (of_other,) = (r for r in requests if r.tags["stt/batch"] == str(other.id))
    gone = json.dumps({"socket": str(tmp_path / "no code server")})
    runs = {
        product.queue(queued): Status.CANCELED,
        product.queue(made, Status.NOT_STARTED): Status.CANCELED,
        # its worker does not answer: Dagster's run monitoring ends it after a while
        product.queue(started, Status.STARTED, **{GRPC_INFO_TAG: gone}): Status.CANCELING,
        product.queue(of_other): Status.QUEUED,
    }
    early = product.queue(starting, Status.STARTING)
    lifecycle.cancel(product.database, cancelled.id)
    product.tick()
    assert {run: product.status(run) for run in runs} == runs
    # it cannot be cancelled before it has started, so the batch waits for it
    product.tick()
    assert (product.status(early), _stage(product, cancelled)) == (Status.STARTING, "cancel")
    run = product.instance.get_run_by_id(early)
    assert run is not None
    product.instance.report_run_failed(run)
    product.tick()
    assert _stage(product, cancelled) == "done"
    assert _requests(product, cancelled) == []


@pytest.mark.slow
def test_pause_takes_dispatched_runs_out_of_the_queue(
    product: Product, bystander: Batch, tmp_path: Path
) -> None:
    batch = _batch(product, tmp_path / "in", 2)
    (request,) = _requests(product, batch)
    waiting = product.queue(request)
    of_a_user = product.queue(dg.RunRequest(job_name="transcribe_audio", tags=request.tags))
    (scan,) = _requests(product, bystander)
    of_a_scan = product.queue(scan)
    lifecycle.pause(product.database, batch.id)
    lifecycle.pause(product.database, bystander.id)
    create_batch(product.database, BatchRequest(source_path=str(tmp_path / "in")))
    assert _requests(product, batch) == []
    statuses = [product.status(run) for run in (waiting, of_a_user, of_a_scan)]
    assert statuses == [Status.CANCELED, Status.QUEUED, Status.QUEUED]

    lifecycle.resume(product.database, batch.id)
    (again,) = _requests(product, batch)
    assert again.run_key != request.run_key
    assert product.instance.get_run_by_id(waiting)


@pytest.mark.slow
def test_runs_of_people_belong_to_their_batch_unless_they_are_about_several(
    product: Product, tmp_path: Path
) -> None:
    write_tone(tmp_path / "in" / "a.wav", 0.2)
    keys = []
    for _ in range(2):
        batch, _, found = scanned(product.database, tmp_path / "in")
        keys += found
    product.instance.add_dynamic_partitions("audio", keys)
    product.instance.add_dynamic_partitions("batch", [f"{batch.id:06d}:in"])

    def tag(request: dg.RunRequest) -> str | None:
        done = product.run(request)
        run = product.instance.get_run_by_id(done.run_id)
        assert run is not None
        assert run.is_success
        return run.tags.get("stt/batch")

    one = dg.RunRequest(partition_key=keys[-1], job_name="transcribe_audio")
    ends = {
        "dagster/asset_partition_range_start": keys[0],
        "dagster/asset_partition_range_end": keys[-1],
    }
    scan = dg.RunRequest(partition_key=f"{batch.id:06d}:in", job_name="scan_source")
    assert tag(one) == str(batch.id)
    assert tag(dg.RunRequest(tags=ends, job_name="transcribe_audio")) is None
    assert tag(scan) == str(batch.id)


def _reason(done: dg.ExecuteInProcessResult) -> str:
    (step,) = [event for event in done.all_events if event.is_step_failure]
    assert step.step_failure_data.error is not None
    return step.step_failure_data.error.message


@pytest.mark.slow
def test_a_run_without_shards_ends_with_the_reason(product: Product, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        write_tone(tmp_path / "in" / name, 0.2)
    batch = create_batch(product.database, BatchRequest(source_path=str(tmp_path / "in")))
    product.run_until("scan_source")
    (request,) = product.tick()
    product.transcriber.meanwhile = lambda: lifecycle.cancel(product.database, batch.id)
    lost = product.run(request)
    assert "There is nothing to do." in _reason(lost)
    assert "its batch was cancelled" in _reason(lost)
    late = product.run(request)  # one that was queued, and begins after the cancellation
    by_hand = product.run(
        dg.RunRequest(partition_key=product.partitions("audio")[0], job_name="transcribe_audio")
    )
    for done in (late, by_hand):
        assert f"batch {batch.id} is cancelled" in _reason(done)
    # a revoked order ends the dispatched run as cancelled, not failed; the run of a user fails with the reason
    statuses = [product.status(done.run_id) for done in (lost, late, by_hand)]
    assert statuses == [Status.CANCELED, Status.CANCELED, Status.FAILURE]
    with product.database.begin() as connection:
        assert connection.scalars(text("SELECT DISTINCT status FROM stt_audio_files")).all() == ["pending"]


@pytest.mark.slow
def test_a_retry_that_somebody_asked_for_is_worked_off(product: Product, tmp_path: Path) -> None:
    batch = _batch(product, tmp_path / "in", 3)
    for request in _requests(product, batch):
        product.run(request)  # the files are empty: they fail
    assert progress(product.database, batch.id).failures_by_class == {"unreadable": 3}
    for request in _requests(product, batch):
        product.run(request)
    _, failed = retry.request_retry(product.database, batch.id)
    assert failed == 3
    (request,) = _requests(product, batch)
    assert request.job_name == "transcribe_audio"
    figures = progress(product.database, batch.id)
    assert (figures.failed, figures.pending) == (0, 3)
