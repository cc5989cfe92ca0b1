"""Health and metrics, with and without problems."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from stt_pipeline.api.app import create_app
from stt_pipeline.batches.execution.dispatch import HEARTBEAT
from stt_pipeline.settings import Settings
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import heartbeats
from stt_pipeline_tests.api.conftest import ADMIN, ClientFor
from stt_pipeline_tests.batches.recordings import scanned, write_tone
from stt_pipeline_tests.rows import Rows


def health(database: Database, **settings: object) -> tuple[int, dict[str, str]]:
    app = create_app(Settings(model="demo", _env_file=None, **settings), database)  # type: ignore[arg-type,call-arg]
    answer = TestClient(app).get("/health")
    return answer.status_code, {"all": answer.json()["status"], **answer.json()["parts"]}


def test_each_part_has_its_state(database: Database) -> None:
    well = {"all": "ok", "database": "ok", "queue": "ok", "model": "ok", "llm": "not configured"}
    well["smtp"] = "not configured"
    assert health(database) == (200, well | {"all": "warn", "queue": "warn"})
    with database.begin() as connection:
        heartbeats.beat(connection, HEARTBEAT)
    assert health(database) == (200, well)
    with socket.create_server(("127.0.0.1", 0)) as mail_server:
        url = f"smtp://127.0.0.1:{mail_server.getsockname()[1]}"
        assert health(database, smtp_url=url) == (200, well | {"smtp": "ok"})
    assert health(database, mail_from="nobody")[1]["smtp"] == "fail"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"smtp://127.0.0.1:{taken.getsockname()[1]}"
        assert health(database, smtp_url=nobody) == (200, well | {"all": "fail", "smtp": "fail"})
    Rows(database).set_schema_version("0001")
    assert health(database) == (503, well | {"all": "fail", "database": "fail"})


def test_health_has_no_addresses_and_is_cached(database: Database, app: FastAPI) -> None:
    client = TestClient(app)
    first = client.get("/health")
    with database.begin() as connection:
        heartbeats.beat(connection, HEARTBEAT)
    assert client.get("/health").json() == first.json()
    assert "postgres" not in first.text and "/" not in first.text


def test_metrics_are_prometheus_text(client_for: ClientFor, database: Database, recordings: Path) -> None:
    write_tone(recordings / "a.wav")
    scanned(database, recordings)
    with database.begin() as connection:
        heartbeats.beat(connection, HEARTBEAT)
    client = client_for("viewer")
    client.get(f"{ADMIN}/stt-batches/1")
    client.get(f"{ADMIN}/stt-batches/77")
    client.get("/nowhere/secret")
    answer = client.get("/metrics")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["stt_batches", "processing"] == 1
    assert samples["stt_shards_in_flight",] == 0
    assert samples["stt_files", "", "pending"] == 1
    assert 0 < samples["stt_queue_age_seconds",] < 3600
    assert samples["stt_dispatcher_last_tick_seconds",] > 1.7e9
    assert samples["stt_api_requests_total", "200", "get_batch"] == 1
    assert samples["stt_api_requests_total", "404", "get_batch"] == 1
    assert samples["stt_api_requests_total", "404", "none"] == 1
    assert samples["stt_api_request_seconds_count", "get_batch"] == 2
    assert "secret" not in answer.text


def test_metrics_of_files_audio_and_mails(client_for: ClientFor, database: Database) -> None:
    rows = Rows(database)
    shard = rows.shard(rows.batch(), stage="publish")
    for status in ("success", "pending", "failed", "failed"):
        given = {"error_class": "unreadable", "error": "broken"} if status == "failed" else {}
        rows.audio_file(shard, status=status, **given)
    ended = rows.shard(rows.batch(status="completed", stage="done"), stage="done")
    rows.audio_file(ended, status="success")
    for shard_id, seconds in ((shard, 5400.0), (ended, 900.0)):
        rows.change(tables.shards, tables.shards.c.id == shard_id, audio_seconds=seconds)
    batch = rows.batch(status="completed", stage="done")
    for number, status in enumerate(("sent", "failed", "unconfirmed")):
        rows.mail(batch, recipient_email=f"kim{number}@example.com", status=status)
    rows.mail(batch, status="sent", sent_at=datetime.now(UTC) - timedelta(days=1))
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(client_for("viewer").get("/metrics").text)
        for sample in family.samples
    }
    assert (samples["stt_files", "", "completed"], samples["stt_files", "", "pending"]) == (1, 1)
    assert (samples["stt_files", "failed", "unreadable"], samples["stt_files", "download", "failed"]) == (
        2,
        0,
    )
    assert samples["stt_audio_hours",] == 1.5
    assert samples["stt_mails_unsent", "failed"] == samples["stt_mails_unsent", "unconfirmed"] == 1
    assert ("stt_mails_unsent", "sent") not in samples
    assert samples["stt_mails_sent_last_hour",] == 1
