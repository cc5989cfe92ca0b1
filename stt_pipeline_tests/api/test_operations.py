"""Health and metrics, with and without problems."""

import socket
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from stt_pipeline.api.app import create_app
from stt_pipeline.batches.execution.dispatch import HEARTBEAT
from stt_pipeline.settings import Settings
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
    well = {"all": "ok", "database": "ok", "queue": "ok", "model": "ok", "llm": "ok", "smtp": "ok"}
    assert health(database) == (200, well | {"all": "warn", "queue": "warn"})
    with database.begin() as connection:
        heartbeats.beat(connection, HEARTBEAT)
    assert health(database) == (200, well)
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
    assert samples["stt_dispatcher_last_tick_seconds",] > 1.7e9
    assert samples["stt_api_requests_total", "200", "get_batch"] == 1
    assert samples["stt_api_requests_total", "404", "get_batch"] == 1
    assert samples["stt_api_requests_total", "404", "none"] == 1
    assert samples["stt_api_request_seconds_count", "get_batch"] == 2
    assert "secret" not in answer.text
