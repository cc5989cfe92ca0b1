"""The product in the Dagster UI: a real webserver, daemon, Postgres and speech model. See also `test_backfill_and_bucket`."""

import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest

from stt_pipeline.batches.execution.run_size import SHARDS_PER_RUN
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.cli.supervisor import Stack
from stt_pipeline.defs.stages import STAGE_ASSETS
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.queue import batches
from stt_pipeline_tests.batches.recordings import write_tone
from stt_pipeline_tests.defs.bad_files import EXPECTED, write_bad_files
from stt_pipeline_tests.defs.dagster_ui import LOCATION, DagsterUI
from stt_pipeline_tests.defs.stack_state import (
    keys_of,
    launch_batch,
    mails_of,
    newest_batch,
    parquet_files,
    results_of,
    runs_of,
    statuses_of,
    traces_of,
    wait_for_load,
    wait_for_runs,
    wait_for_status,
)
from stt_pipeline_tests.rows import Rows

pytestmark = pytest.mark.slow

SHARD_ASSETS = [asset for assets in STAGE_ASSETS.values() for asset in assets]


@pytest.fixture(scope="module")
def bad_batch(ui: DagsterUI, store: Database, tmp_path_factory: pytest.TempPathFactory) -> int:
    """The id of a batch of every kind of bad file, started from the launchpad and completed."""
    folder = tmp_path_factory.mktemp("bad") / "in"
    write_bad_files(folder)
    run = launch_batch(ui, folder, name="bad files", notify_emails=["kim@example.com"])
    assert ui.wait_for_run(run) == "SUCCESS"
    batch_id = newest_batch(store)
    wait_for_status(store, batch_id, {"completed", "failed"})
    wait_for_runs(ui, store, batch_id)
    return batch_id


def test_a_batch_from_the_launchpad_with_every_kind_of_bad_file(
    ui: DagsterUI, store: Database, stack: Stack, bad_batch: int
) -> None:
    batch_id = bad_batch
    figures = progress(store, batch_id)
    assert (figures.status, figures.error) == ("completed", None)

    with store.begin() as connection:
        ended = {
            unquote(file.uri.partition("/in/")[2]): file for file in files.of_batch(connection, batch_id)
        }
    assert set(ended) == set(EXPECTED)
    for name, expected in EXPECTED.items():
        file = ended[name]
        if expected is None:
            assert (file.status, file.error) == ("success", None), name
        else:
            assert (file.status, file.error_class) == ("failed", expected[0]), name
            assert expected[1] in (file.error or ""), name

    # each check has a result for each partition, red for bad files and green for good ones, from the same runs
    keys = keys_of(store, batch_id)
    checks = {
        check["evaluation"]["partition"]: check
        for check in ui.checks("audio_files", "every_file_readable")
        if check["evaluation"]["partition"] in keys.values()
    }
    assert set(checks) == set(keys.values())
    for name, key in keys.items():
        evaluation = checks[key]["evaluation"]
        assert evaluation["success"] == (EXPECTED[name] is None), name
        if EXPECTED[name] is not None:
            assert evaluation["severity"] == "ERROR"
            assert Path(name).name in evaluation["description"]
    assert len({check["runId"] for check in checks.values()}) == 1

    passed, failed = ui.check_partitions("audio_files", "every_file_readable")
    bad = {keys[name] for name, expected in EXPECTED.items() if expected}
    assert failed & set(keys.values()) == bad
    assert passed & set(keys.values()) == set(keys.values()) - bad

    # the metadata of materializations
    metadata = ui.metadata("speaker_turns", keys["주간 회의 (사본).m4a"])
    assert metadata["speakers"] == "3"
    assert "data:image/png;base64," in metadata["speaker timeline"]
    assert "회의를 시작하겠습니다" in metadata["transcript"]
    transcripts = ui.metadata("transcripts", keys["주간 회의 (사본).m4a"])
    assert (transcripts["files"], transcripts["files failed"], transcripts["language"]) == (1, 0, "ko")
    assert transcripts["real-time factor"] > 0
    assert "knows only the vocabulary" in transcripts["note"]
    assert "| owner | task | due |" in ui.metadata("meeting_minutes", keys["🎤 launch.mp3"])["minutes"]
    report = ui.metadata("batch_report", f"{batch_id:06d}:bad_files")
    assert "text.mp3" in report["failures"]
    assert "data:image/png;base64," in report["throughput"]

    # silence and noise have no words, and are not failures
    for name in ("silence.wav", "white noise.wav", "tenth of a second.wav"):
        assert "(no speech)" in ui.metadata("transcripts", keys[name])["transcript"], name

    succeeded = sum(expected is None for expected in EXPECTED.values())
    assert len(mails_of(stack)) == 1  # the digest of a batch of ten files or more
    rows = pd.read_parquet(f"{results_of(stack)}/minutes/batch={batch_id:06d}")
    assert len(rows) == succeeded
    assert len(parquet_files(stack, batch_id, "transcripts")) == len(EXPECTED)


def test_a_wrong_request_fails_its_run_with_the_reason(ui: DagsterUI, store: Database) -> None:
    before = newest_batch(store)
    run = launch_batch(ui, Path("/no/such/folder"))
    assert ui.wait_for_run(run) == "FAILURE"
    assert "The folder /no/such/folder does not exist" in ui.errors(run)
    assert newest_batch(store) == before


def test_a_batch_under_load_is_paused_resumed_cancelled_and_deleted(
    ui: DagsterUI, store: Database, stack: Stack, bad_batch: int, tmp_path: Path
) -> None:
    # the tests below run partitions of the other batch again
    other = (traces_of(store, stack, bad_batch), runs_of(ui, bad_batch))
    for number in range(2 * SHARDS_PER_RUN["transcribe"] + 2):
        write_tone(tmp_path / "in" / f"{number:03d}.wav", 0.1)
    batch_id = create_batch(store, BatchRequest(source_path=str(tmp_path / "in"))).id
    wait_for_load(ui, store, batch_id)

    # active runs end normally, and waiting runs leave the queue
    lifecycle.pause(store, batch_id)
    wait_for_runs(ui, store, batch_id)
    # a run that had begun no shard in its step releases all, and is cancelled like a waiting one
    assert set(runs_of(ui, batch_id).values()) <= {"SUCCESS", "CANCELED"}
    assert progress(store, batch_id).status == "paused"
    assert "pending" in statuses_of(store, batch_id).values()

    lifecycle.resume(store, batch_id)
    unfinished = wait_for_load(ui, store, batch_id)
    lifecycle.cancel(store, batch_id)
    statuses = statuses_of(store, batch_id)
    wait_for_runs(ui, store, batch_id)
    ended = runs_of(ui, batch_id)
    # one that is interrupted in the middle of a query may be shown as failed; none goes on
    for run in unfinished:
        print(ended[run], ui.errors(run) if ended[run] == "FAILURE" else "")
    assert {run for run in unfinished if ended[run] == "CANCELED"}
    assert statuses_of(store, batch_id) == statuses
    figures = progress(store, batch_id)
    assert (figures.status, figures.error) == ("cancelled", None)

    logs = [Path(stack.environment["DAGSTER_HOME"]) / "storage" / run for run in ended]
    assert any(folder.exists() for folder in logs)
    lifecycle.delete(store, batch_id)
    end = time.monotonic() + 120
    while True:
        left = ui.runs(tags=[{"key": "stt/batch", "value": str(batch_id)}])
        if [(run["jobName"], run["status"]) for run in left] == [("delete_batch", "SUCCESS")]:
            break
        assert time.monotonic() < end, left
        time.sleep(0.5)
    assert not any(traces_of(store, stack, batch_id).values())
    assert not any(folder.exists() for folder in logs)
    with store.begin() as connection:
        assert batch_id not in {batch.id for batch in batches.latest(connection, 100)}
    assert (traces_of(store, stack, bad_batch), runs_of(ui, bad_batch)) == other


def test_one_partition_is_materialized_again(
    ui: DagsterUI, store: Database, stack: Stack, bad_batch: int
) -> None:
    key = keys_of(store, bad_batch)["🎤 launch.mp3"]
    before = ui.metadata("transcripts", key)
    run = ui.materialize(["transcripts"], key)
    assert ui.wait_for_run(run) == "SUCCESS"
    assert ui.metadata("transcripts", key) == before  # it is up to date, and not shown as new
    assert f"{key}: nothing to do: 1 of 1 files are up to date; set reprocess to force." in ui.messages(run)
    config = {"ops": {"transcripts": {"config": {"reprocess": True}}}}
    run = ui.materialize(["transcripts"], key, config)
    assert ui.wait_for_run(run) == "SUCCESS"
    assert ui.metadata("transcripts", key) != before
    # after a minute the dispatcher takes the file through the rest
    Rows(store).change(tables.shards, not_before=datetime.now(UTC))
    mails = mails_of(stack)
    figures = wait_for_status(store, bad_batch, {"completed"})
    assert figures.completed == sum(expected is None for expected in EXPECTED.values())
    assert mails_of(stack) == mails


def test_a_backfill_fails_the_partition_of_a_broken_recording_and_no_other(
    ui: DagsterUI, store: Database, bad_batch: int
) -> None:
    keys = keys_of(store, bad_batch)
    good, bad = keys["silence.wav"], keys["text.mp3"]
    assert ui.partition_statuses("transcripts", [good, bad]) == {good: "MATERIALIZED", bad: "FAILED"}
    assert ui.partition_statuses("meeting_minutes", [good, bad]) == {good: "MATERIALIZED", bad: "MISSING"}
    backfill = ui.backfill(STAGE_ASSETS["transcribe"], [good, bad])
    assert ui.wait_for_backfill(backfill) == "COMPLETED_FAILED"
    for asset in STAGE_ASSETS["transcribe"]:
        assert ui.partition_statuses(asset, [good, bad]) == {good: "MATERIALIZED", bad: "FAILED"}
    # keys that are no neighbours get runs of their own
    runs = ui.runs(tags=[{"key": "dagster/backfill", "value": backfill}])
    (run,) = [run for run in runs if "stt/failed_recordings" in run["tags"]]
    assert run["tags"]["stt/failed_recordings"] == "1"
    assert "text.mp3" in ui.errors(run["runId"])
    Rows(store).change(tables.shards, not_before=datetime.now(UTC))
    wait_for_status(store, bad_batch, {"completed"})


def test_the_lineage_leads_from_the_manifest_to_the_report(ui: DagsterUI) -> None:
    answer = ui.ask(
        "query ($s: RepositorySelector!) { repositoryOrError(repositorySelector: $s) { ... on Repository {"
        " assetNodes { assetKey { path } dependencyKeys { path } groupName } sensors { name sensorState { status } } } } }",
        s=LOCATION,
    )["repositoryOrError"]
    upstream = {
        node["assetKey"]["path"][0]: [key["path"][0] for key in node["dependencyKeys"]]
        for node in answer["assetNodes"]
    }
    line = ["compacted_datasets"]
    while upstream[line[-1]]:
        line += upstream[line[-1]]
    assert line == [
        "compacted_datasets",
        "batch_report",
        *reversed(SHARD_ASSETS),
        "audio_manifest",
        "recordings",
    ]
    assert answer["sensors"] == [
        {"name": name, "sensorState": {"status": "RUNNING"}}
        for name in (
            "batch_dispatcher",
            "freshness_checks",
            "run_failure_alerts",
            "s3_audio_sensor",
            "s3_event_sensor",
        )
    ]
