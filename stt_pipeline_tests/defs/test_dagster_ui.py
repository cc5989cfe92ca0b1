"""The product in the Dagster UI: a real webserver, daemon, Postgres and speech model.

One stack serves all tests of this module, so they use different batches.
"""

import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.sqs import QueueAccess
from stt_pipeline.batches.execution.run_size import SHARDS_PER_RUN
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.batches.requests.batch_request import BatchRequest, WatchRequest
from stt_pipeline.batches.requests.create import create_batch, create_watch
from stt_pipeline.cli.supervisor import Stack
from stt_pipeline.defs.stages import STAGE_ASSETS
from stt_pipeline.settings import Settings
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files, watches
from stt_pipeline.store.queue import batches
from stt_pipeline_tests.batches.recordings import write_tone
from stt_pipeline_tests.conftest import SAMPLES
from stt_pipeline_tests.defs.bad_files import EXPECTED, write_bad_files
from stt_pipeline_tests.defs.dagster_ui import LOCATION, DagsterUI
from stt_pipeline_tests.defs.stack_state import (
    RESULTS,
    batches_of_watch,
    keys_of,
    launch_batch,
    mails_of,
    newest_batch,
    parquet_files,
    running_stack,
    runs_of,
    statuses_of,
    traces_of,
    wait_for_dispatcher_stop,
    wait_for_load,
    wait_for_runs,
    wait_for_status,
)
from stt_pipeline_tests.rows import Rows

pytestmark = pytest.mark.slow

COUNTS = {"one": 55, "two": 46}  # files of the batches that are backfilled
SHARD_ASSETS = [asset for assets in STAGE_ASSETS.values() for asset in assets]


@pytest.fixture(scope="module")
def stack(s3_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
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
    rows = pd.read_parquet(f"{RESULTS}/minutes/batch={batch_id:06d}")
    assert len(rows) == succeeded
    assert len(parquet_files(batch_id, "transcripts")) == len(EXPECTED)


def test_a_wrong_request_fails_its_run_with_the_reason(ui: DagsterUI, store: Database) -> None:
    before = newest_batch(store)
    run = launch_batch(ui, Path("/no/such/folder"))
    assert ui.wait_for_run(run) == "FAILURE"
    assert "The folder /no/such/folder does not exist" in ui.errors(run)
    assert newest_batch(store) == before


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


def test_a_backfill_over_two_batches_runs_many_partitions_at_a_time_with_stages_apart(
    ui: DagsterUI, store: Database, tmp_path: Path
) -> None:
    # only the user starts runs, after the current tick has ended
    ui.switch_sensor("batch_dispatcher", on=False)
    wait_for_dispatcher_stop(store)
    launched = []
    for name, count in COUNTS.items():
        for number in range(count):
            write_tone(tmp_path / name / "in" / f"{number:02d}.wav", 0.2)
        launched.append(launch_batch(ui, tmp_path / name / "in", name=name))
    assert {ui.wait_for_run(run) for run in launched} == {"SUCCESS"}
    with store.begin() as connection:
        made = {batch.name: batch.id for batch in batches.latest(connection, len(COUNTS))}
    batch_ids = [made[name] for name in COUNTS]
    scans = [ui.materialize(["audio_manifest"], f"{made[name]:06d}:{name}") for name in COUNTS]
    assert {ui.wait_for_run(run) for run in scans} == {"SUCCESS"}, list(map(ui.errors, scans))
    keys = [key for batch_id in batch_ids for key in sorted(keys_of(store, batch_id).values())]
    assert len(keys) == sum(COUNTS.values()) > 100

    backfill = ui.backfill(SHARD_ASSETS, keys)
    assert ui.wait_for_backfill(backfill) == "COMPLETED_SUCCESS"
    runs = ui.runs(tags=[{"key": "dagster/backfill", "value": backfill}])
    # Dagster starts runs as soon as what they need is there, so their number varies; none does both stages' work
    worked: dict[str, int] = dict.fromkeys(STAGE_ASSETS, 0)
    for run in runs:
        assets = {asset["path"][0] for asset in run["assetSelection"]}
        (stage,) = (stage for stage, members in STAGE_ASSETS.items() if assets & set(members))
        assert assets <= set(STAGE_ASSETS[stage])
        worked[stage] += 1
    assert worked["transcribe"] == sum(
        math.ceil(count / SHARDS_PER_RUN["transcribe"]) for count in COUNTS.values()
    )
    assert worked["publish"] <= 2 * worked["transcribe"]
    for batch_id, count in zip(batch_ids, COUNTS.values(), strict=True):
        figures = progress(store, batch_id)
        assert (figures.completed, figures.failed, figures.pending) == (count, 0, 0)
    ui.switch_sensor("batch_dispatcher", on=True)
    for batch_id in batch_ids:
        wait_for_status(store, batch_id, {"completed"})


def test_what_arrives_in_a_bucket_becomes_minutes_mails_and_parquet_there(
    store: Database, stack: Stack, s3_server: str
) -> None:
    import boto3

    s3, sqs = boto3.client("s3"), boto3.client("sqs")
    s3.create_bucket(Bucket="stack-calls")
    queue = sqs.create_queue(QueueName="stack-calls")["QueueUrl"]
    address = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    notify = {"QueueConfigurations": [{"QueueArn": address, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket="stack-calls", NotificationConfiguration=notify)
    watch = create_watch(
        store,
        WatchRequest(
            source_path="s3://stack-calls/2026",
            name="통화",
            batching="arrival",
            queue_url=queue,
            notify_emails=["park@example.com"],
        ),
        allowed=AllowedSources.for_users("", SourceAccess.of(Settings())),
        queues=QueueAccess(endpoints=(s3_server,)),
    )
    before = mails_of(stack)
    key = "2026/11/주간 회의 100% + 🎤?.m4a"
    s3.upload_file(str(SAMPLES / "주간 회의.m4a"), "stack-calls", key)
    s3.put_object(Bucket="stack-calls", Key="elsewhere/회의.m4a", Body=b"not watched")

    end = time.monotonic() + 60
    while not (batch_ids := batches_of_watch(store, watch.id)):
        assert time.monotonic() < end
        time.sleep(0.3)
    figures = wait_for_status(store, batch_ids[0], {"completed", "failed"})
    assert (figures.status, figures.completed, figures.failed) == ("completed", 1, 0)
    with store.begin() as connection:
        (file,) = files.of_batch(connection, batch_ids[0])
        assert watches.get(connection, watch.id).files == 1
    assert file.uri == f"s3://stack-calls/{key}"
    assert len(mails_of(stack)) == len(before) + 2  # the minutes and the report

    batch = f"batch={batch_ids[0]:06d}"
    (row,) = pd.read_parquet(f"{RESULTS}/transcripts/{batch}").to_dict("records")
    assert row["uri"] == file.uri
    assert "회의를 시작하겠습니다" in row["text"]
    assert len(row["speaker_turns"]) > 3
    (minutes,) = pd.read_parquet(f"{RESULTS}/minutes/{batch}").to_dict("records")
    assert len(minutes["action_items"]) > 0
    while not parquet_files(batch_ids[0], "compacted/minutes"):
        assert time.monotonic() < end + 60
        time.sleep(0.3)
    (compacted,) = pd.read_parquet(f"{RESULTS}/compacted/transcripts/{batch}").to_dict("records")
    assert compacted["text"] == row["text"]
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)


def test_a_batch_under_load_is_paused_resumed_cancelled_and_deleted(
    ui: DagsterUI, store: Database, stack: Stack, bad_batch: int, tmp_path: Path
) -> None:
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
