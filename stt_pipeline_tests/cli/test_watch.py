"""`stt watch`, and `stt batch` on the open batch of a watch."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from sqlalchemy import text

from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches
from stt_pipeline_tests.batches.watched import Keys, Watched
from stt_pipeline_tests.cli.conftest import STALE_DISPATCHER, Stt, plain

QUEUE = "https://sqs.ap-northeast-2.amazonaws.com/123456789012/recordings"


def test_add_writes_the_request(stt_on_database: Stt, database: Database, bucket: str) -> None:
    ended = stt_on_database(
        *("watch", "add", f"s3://{bucket}/회의/", "--pattern", "**/*.wav", "--batches", "arrival"),
        *("--queue", QUEUE, "--priority", "high", "--notify", "kim@example.com", "--option", "language=ko"),
        *("--new-only", "--json"),
    )
    assert (ended.code, ended.err) == (0, STALE_DISPATCHER)
    added = json.loads(ended.out)
    assert added == {"id": 1, "name": "회의", "source": f"s3://{bucket}/회의"}
    with database.begin() as connection:
        watch = watches.get(connection, 1)
        (entry,) = connection.execute(text("SELECT who, action FROM stt_audit_log")).all()
    assert (watch.file_pattern, watch.batching, watch.queue_url) == ("**/*.wav", "arrival", QUEUE)
    assert (watch.priority, watch.notify_emails, watch.options) == (
        *("high", ("kim@example.com",), {"language": "ko"}),
    )
    assert watch.since
    assert (entry.who, entry.action) == (watch.created_by, "watch.add")
    assert entry.who.endswith("(stt watch add)")


@pytest.mark.slow
def test_list_show_and_remove(stt_on_database: Stt, database: Database, tmp_path: Path) -> None:
    assert stt_on_database("watch", "list").err.startswith("No watch exists yet.")
    (tmp_path / "[녹음]").mkdir()
    ended = stt_on_database("watch", "add", "[녹음]", "--name", "calls")
    source = tmp_path / "[녹음]"
    assert ended.out == (f"Watch 1 (calls) is added: {source}\nSee its batches with: stt watch show 1\n")
    bell = Watched(database, Keys("a.wav", "b.wav"), queue_url=QUEUE, name="bell")
    bell.poll()
    with database.begin() as connection:
        watches.set_error(connection, 1, "The folder is gone.")
        watches.add_dead_letter(
            connection, QUEUE, "m1", '{"odd":\n"\x1b[31mred"}' + "x" * 400, "The message is not JSON."
        )

    calls, other = map(json.loads, stt_on_database("watch", "list", "--json").out.splitlines())
    assert (calls["name"], calls["source_path"], calls["error"]) == (
        "calls",
        source.as_uri(),
        "The folder is gone.",
    )
    assert (other["files"], other["queue_url"], other["dead_letters"]) == (2, QUEUE, 1)
    ended = stt_on_database("watch", "list")
    for words in ("calls", "listing", "bell", "queue"):
        assert words in ended.shown, ended.shown
    assert ended.err == (
        "Watch 1: The folder is gone.\nWatch 2: dead letters in its queue: 1. See: stt watch show 2\n"
    )

    ended = stt_on_database("watch", "show", 2)
    for words in (
        "found by https://sqs.ap-northeast-2.amazonaws.com/123456789012/",
        "files 2",
        f"latest batches {bell.batch_ids[0]}",
        "one per day, priority normal",
    ):
        assert words in ended.shown, ended.shown
    assert "The message is not JSON." in ended.err
    assert '{"odd": "\ufffd[31mred"}xxx' in ended.err
    assert "error The folder is gone." in stt_on_database("watch", "show", 1).shown
    as_json = json.loads(stt_on_database("watch", "show", 2, "--json").out)
    assert as_json["batches"] == bell.batch_ids
    assert as_json["dead_letters"][0]["message_id"] == "m1"

    ended = stt_on_database("watch", "remove", 1)
    assert ended.out == "Watch 1 (calls) is removed; its batches stay.\n"
    assert json.loads(stt_on_database("watch", "remove", 2, "--json").out)["id"] == 2
    assert stt_on_database("watch", "list", "--json").out == ""
    ended = stt_on_database("watch", "show", 1)
    assert (ended.code, ended.err) == (2, "Watch 1 does not exist. `stt watch list` shows the watches.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/no/such/folder"], "does not exist"),
        ([".", "--queue", QUEUE], "A queue has the events of a bucket"),
        ([".", "--batches", "weekly"], "'weekly' is not one of 'daily', 'arrival'"),
        ([".", "--option", "model"], "--option needs NAME=VALUE"),
        ([".", "--name", "x" * 171], "name: String should have at most 170 characters"),
        ([".", "--name", "  "], "name: a name has printable characters"),
        (["."], "STT_SQS_ENDPOINTS"),
    ],
)
def test_invalid_watches_are_rejected(
    stt_on_database: Stt,
    database: Database,
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if said == "STT_SQS_ENDPOINTS":
        monkeypatch.setenv(said, "localhost")
    ended = stt_on_database("watch", "add", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in plain(ended.err)
    with database.begin() as connection:
        assert watches.page(connection, 10) == []


def test_a_queue_of_another_host_is_not_asked(
    stt_on_database: Stt, database: Database, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("watch", "add", f"s3://{bucket}", "--queue", "http://169.254.169.254/latest/meta-data")
    ended = stt_on_database(*asked)
    assert ended.code == 2
    assert "Queues of 169.254.169.254 are not allowed" in ended.err
    boto3.client("s3").put_object(Bucket=bucket, Key="list.csv", Body=b"uri\n")
    ended = stt_on_database("watch", "add", f"s3://{bucket}/list.csv", "--queue", QUEUE)
    assert "A queue has the events of a bucket" in ended.err
    monkeypatch.setenv("STT_SQS_ENDPOINTS", "http://169.254.169.254")
    assert stt_on_database(*asked).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("command", ["watch add", "batch create"])
def test_who_waits_for_a_bucket_is_told_soon_that_nothing_answers(
    stt_on_database: Stt, database: Database, aws: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    begun = time.monotonic()
    ended = stt_on_database(*command.split(), "s3://recordings")
    assert ended.code == 1
    assert "Could not connect to the endpoint URL" in plain(ended.err)
    assert time.monotonic() - begun < 20  # the retries of a run take half a minute


@pytest.mark.slow
def test_an_open_batch_shows_until_when_it_accepts_files(stt_on_database: Stt, database: Database) -> None:
    watch = Watched(database, Keys("a.wav"))
    watch.poll()
    (batch_id,) = watch.batch_ids
    assert (
        f"open accepts new files of watch {watch.id} until"
        in stt_on_database("batch", "show", batch_id).shown
    )
    assert "open accepts new files until" in stt_on_database("batch", "progress", batch_id).shown
    until = json.loads(stt_on_database("batch", "progress", batch_id, "--json").out)["open_until"]
    assert timedelta() < datetime.fromisoformat(until) - datetime.now(UTC) <= timedelta(days=1)
    stt_on_database("watch", "remove", watch.id)
    assert (
        f"open no: new files of watch {watch.id} go into another batch"
        in stt_on_database("batch", "show", batch_id).shown
    )
    assert "open" not in stt_on_database("batch", "progress", batch_id).shown.split()
