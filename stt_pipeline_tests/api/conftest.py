"""The real app on a real Postgres, called with keys of each role."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from stt_pipeline.api import keys
from stt_pipeline.api.app import create_app
from stt_pipeline.settings import Settings
from stt_pipeline.store.access.api_keys import Role
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database

ADMIN = "/api/v1/admin"

ClientFor = Callable[[Role | None], TestClient]


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """The folder that STT_ALLOWED_SOURCES allows."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    return folder


@pytest.fixture
def app(database: Database, recordings: Path) -> FastAPI:
    """The app as `stt api` creates it."""
    settings = Settings(allowed_sources=recordings.as_uri(), api_rate_limit="100000/minute", _env_file=None)  # type: ignore[call-arg]
    return create_app(settings, database)


@pytest.fixture
def client_for(app: FastAPI, database: Database) -> ClientFor:
    """Creates a client with a key of a role, or without a key."""

    def client(role: Role | None) -> TestClient:
        headers = {}
        if role:
            _, key = keys.create(database, name=f"a {role}", role=role, actor=Actor("tests"))
            headers = {"Authorization": f"Bearer {key}"}
        return TestClient(app, headers=headers, raise_server_exceptions=False)

    return client


@pytest.fixture
def client(client_for: ClientFor) -> TestClient:
    """A client with the key of an admin."""
    return client_for("admin")


@pytest.fixture
def server(app: FastAPI) -> Iterator[str]:
    """URL of the app on its own port."""
    running = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        threading.Event().wait(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join()
