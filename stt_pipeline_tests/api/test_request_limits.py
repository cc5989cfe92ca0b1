"""Requests that would not end: slow work, revoked keys, and clients that stop reading. On a real web server."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from stt_pipeline.api import keys
from stt_pipeline.api.downloads import FileStream
from stt_pipeline.api.middleware import RequestIdMiddleware
from stt_pipeline.api.progress_feed import ProgressFeed
from stt_pipeline.api.request_limits import RequestLimits
from stt_pipeline.api.transcript_reads import TranscriptReads
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database
from stt_pipeline_tests.api.conftest import ADMIN
from stt_pipeline_tests.api.test_progress import events
from stt_pipeline_tests.batches.recordings import scanned, write_tone

LARGE = bytes(range(256)) * 2_000


@pytest.fixture
def key_id(database: Database) -> int:
    """The id of a valid key."""
    return keys.create(database, name="a", role="viewer", actor=Actor("tests"))[0].id


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """The slow endpoint waits for it."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def ended() -> threading.Event:
    """Set when the endless download is closed."""
    return threading.Event()


@pytest.fixture
def app(database: Database, key_id: int, released: threading.Event, ended: threading.Event) -> FastAPI:
    """An app with short limits; its requests have the key ``key_id``."""
    app = FastAPI()
    app.add_middleware(
        RequestLimits, database=lambda: database, request_seconds=0.5, stall_seconds=0.5, key_seconds=0.1
    )
    app.add_middleware(RequestIdMiddleware)

    @app.get("/slow")
    def slow() -> None:
        released.wait(60)

    @app.get("/large")
    def large() -> Response:
        return Response(LARGE)

    @app.get("/endless")
    def endless(request: Request) -> FileStream:
        request.state.key_id = key_id

        def chunks() -> Iterator[bytes]:
            try:
                while True:
                    yield b"x" * 10_000
            finally:
                ended.set()

        return FileStream(chunks(), media_type="application/zip", headers={}, reads=TranscriptReads())

    return app


def test_work_without_an_answer_is_a_problem_and_the_server_continues(
    server: str, released: threading.Event
) -> None:
    answer = httpx.get(f"{server}/slow", timeout=60)
    assert not released.is_set()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "No answer within" in answer.json()["detail"]
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert httpx.get(f"{server}/large").content == LARGE


def test_a_download_breaks_off_when_its_key_is_revoked(
    server: str, database: Database, key_id: int, ended: threading.Event
) -> None:
    with (
        pytest.raises(httpx.RemoteProtocolError, match="incomplete"),
        httpx.stream("GET", f"{server}/endless", timeout=60) as answer,
    ):
        for number, _ in enumerate(answer.iter_raw()):
            if number == 3:
                keys.revoke(database, key_id, actor=Actor("tests"))
    assert ended.wait(60)


def test_a_client_that_does_not_read_ends_its_download(server: str, ended: threading.Event) -> None:
    host, _, port = server.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ended.wait(60)


class TestProgressStream:
    @pytest.fixture
    def app(self, database: Database, recordings: Path) -> FastAPI:
        """The real app, with streams that do not end by themselves."""
        from stt_pipeline.api.app import create_app
        from stt_pipeline.settings import Settings

        app = create_app(Settings(_env_file=None), database)  # type: ignore[call-arg]
        app.state.feed = ProgressFeed(database, stream_seconds=3600)
        return app

    def test_it_ends_when_its_key_is_revoked(self, server: str, database: Database, recordings: Path) -> None:
        write_tone(recordings / "a.wav")
        batch_id = scanned(database, recordings)[0].id
        path = f"{server}{ADMIN}/stt-batches/{batch_id}/progress/stream"
        row, key = keys.create(database, name="b", role="viewer", actor=Actor("tests"))
        with httpx.stream("GET", path, headers={"Authorization": f"Bearer {key}"}, timeout=60) as answer:
            received = events(answer)
            assert next(received)[0] == "progress"
            keys.revoke(database, row.id, actor=Actor("tests"))
            assert (
                list(received) == []
            )  # a complete response, after which a browser connects again and gets 401
        assert httpx.get(path, headers={"Authorization": f"Bearer {key}"}).status_code == 401
