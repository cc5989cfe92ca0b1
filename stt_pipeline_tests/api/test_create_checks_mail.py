"""A batch or a watch with recipients is created only with mail settings that can work."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from stt_pipeline.api import keys
from stt_pipeline.api.app import create_app
from stt_pipeline.settings import Settings
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches
from stt_pipeline_tests.api.conftest import ADMIN
from stt_pipeline_tests.mail.smtp_servers import free_port

PATHS = pytest.mark.parametrize("path", [f"{ADMIN}/stt-batches", f"{ADMIN}/stt-watches"])


def _client(database: Database, recordings: Path, smtp_url: str) -> TestClient:
    settings = Settings(allowed_sources=recordings.as_uri(), smtp_url=smtp_url, _env_file=None)  # type: ignore[call-arg]
    _, key = keys.create(database, name="an operator", role="operator", actor=Actor("tests"))
    return TestClient(create_app(settings, database), headers={"Authorization": f"Bearer {key}"})


@PATHS
def test_a_server_that_is_down_is_a_warning_without_its_address(
    database: Database, recordings: Path, path: str
) -> None:
    port = free_port()
    client = _client(database, recordings, f"smtp://127.0.0.1:{port}")
    request = {"source_path": recordings.as_uri(), "notify_emails": ["kim@example.com"]}
    answer = client.post(path, json=request)
    assert answer.status_code == 201
    (warning,) = answer.json()["warnings"]
    assert "does not accept mails" in warning and str(port) not in warning
    assert client.post(path, json=request | {"notify_emails": []}).json()["warnings"] == []


@PATHS
def test_a_wrong_setting_is_refused_and_nothing_is_written(
    database: Database, recordings: Path, path: str
) -> None:
    client = _client(database, recordings, "smtp://ann:secret@mail.example.com:port")
    request = {"source_path": recordings.as_uri(), "notify_emails": ["kim@example.com"]}
    answer = client.post(path, json=request)
    assert answer.status_code == 503 and "secret" not in answer.text
    with database.begin() as connection:
        assert batches.latest(connection, 10) == []
