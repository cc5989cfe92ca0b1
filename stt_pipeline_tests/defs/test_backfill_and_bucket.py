"""A backfill over two batches and a watched bucket, on a real webserver, daemon, Postgres and speech model.

Apart from `test_dagster_ui`, so that the two stacks run side by side.
"""

import math
import time
from pathlib import Path

import pandas as pd
import pytest

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.sqs import QueueAccess
from stt_pipeline.batches.execution.run_size import SHARDS_PER_RUN
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests.batch_request import WatchRequest
from stt_pipeline.batches.requests.create import create_watch
from stt_pipeline.cli.supervisor import Stack
from stt_pipeline.defs.stages import STAGE_ASSETS
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files, watches
from stt_pipeline.store.queue import batches
from stt_pipeline_tests.batches.recordings import write_tone
from stt_pipeline_tests.conftest import SAMPLES
from stt_pipeline_tests.defs.dagster_ui import DagsterUI
from stt_pipeline_tests.defs.stack_state import (
    batches_of_watch,
    keys_of,
    launch_batch,
    mails_of,
    parquet_files,
    results_of,
    wait_for_dispatcher_stop,
    wait_for_status,
)

pytestmark = pytest.mark.slow

COUNTS = {
    "one": 52,
    "two": 3,
}  # files of the batches that are backfilled: one transcribe run, and one over the rest of both
SHARD_ASSETS = [asset for assets in STAGE_ASSETS.values() for asset in assets]


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
    assert len(keys) == sum(COUNTS.values())

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
    assert worked["transcribe"] == math.ceil(len(keys) / SHARDS_PER_RUN["transcribe"])
    assert worked["publish"] < len(keys) / 2
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
    (row,) = pd.read_parquet(f"{results_of(stack)}/transcripts/{batch}").to_dict("records")
    assert row["uri"] == file.uri
    assert "회의를 시작하겠습니다" in row["text"]
    assert len(row["speaker_turns"]) > 3
    (minutes,) = pd.read_parquet(f"{results_of(stack)}/minutes/{batch}").to_dict("records")
    assert len(minutes["action_items"]) > 0
    while not parquet_files(stack, batch_ids[0], "compacted/minutes"):
        assert time.monotonic() < end + 60
        time.sleep(0.3)
    (compacted,) = pd.read_parquet(f"{results_of(stack)}/compacted/transcripts/{batch}").to_dict("records")
    assert compacted["text"] == row["text"]
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
