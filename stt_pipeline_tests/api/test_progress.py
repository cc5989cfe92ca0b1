"""How far a batch is, over HTTP: the figures once, and as a stream from a real server."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Connection

from stt_pipeline.api import progress_feed
from stt_pipeline.batches.queries.progress import Progress
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.store.database import Database
from stt_pipeline_tests.api.conftest import ADMIN
from stt_pipeline_tests.batches.recordings import scanned, write_tone


@pytest.fixture
def batch_id(database: Database, recordings: Path) -> int:
    """A scanned batch of two files."""
    for name in ("a", "b"):
        write_tone(recordings / f"{name}.wav")
    return scanned(database, recordings)[0].id


def events(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    """Yield (event, data) of a stream as they come."""
    event = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            event = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield event, json.loads(line.removeprefix("data: "))


def test_the_figures_are_those_of_the_contract(client: TestClient, batch_id: int) -> None:
    answer = client.get(f"{ADMIN}/stt-batches/{batch_id}/progress").json()
    assert set(answer) == {field.name for field in fields(Progress)}
    assert (answer["batch_id"], answer["total_files"], answer["pending"]) == (batch_id, 2, 2)


def test_a_stream_tells_changes_until_the_batch_is_over(
    client: TestClient, server: str, database: Database, batch_id: int
) -> None:
    with httpx.stream(
        "GET", f"{server}{ADMIN}/stt-batches/{batch_id}/progress/stream", headers=client.headers, timeout=20
    ) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        told = events(answer)
        event, first = next(told)
        assert (event, first["status"]) == ("progress", "processing")
        lifecycle.pause(database, batch_id)
        event, second = next(told)
        assert (event, second["status"]) == ("progress", "paused")
        lifecycle.cancel(database, batch_id)
        event, last = next(told)
        assert (event, last["status"]) == ("over", "cancelled")
        assert list(told) == []


def test_a_stream_ends_with_its_batch_and_at_the_servers_stop(
    client: TestClient, server: str, batch_id: int
) -> None:
    refused = httpx.get(f"{server}{ADMIN}/stt-batches/77/progress/stream", headers=client.headers)
    assert (refused.status_code, refused.headers["Content-Type"]) == (404, "application/problem+json")
    assert httpx.get(f"{server}{ADMIN}/stt-batches/{batch_id}/progress/stream").status_code == 401
    # who goes away leaves nothing that keeps the server from stopping
    with httpx.stream(
        "GET", f"{server}{ADMIN}/stt-batches/{batch_id}/progress/stream", headers=client.headers
    ) as answer:
        next(events(answer))


def test_many_streams_of_a_batch_are_one_look_a_second(
    app: FastAPI, client: TestClient, server: str, database: Database, batch_id: int
) -> None:
    looks: list[float] = []

    class Watched(Database):
        @contextmanager
        def snapshot(self) -> Iterator[Connection]:
            looks.append(time.monotonic())
            with super().snapshot() as connection:
                yield connection

    app.state.feed._database = Watched(database.url)
    path, count = f"{server}{ADMIN}/stt-batches/{batch_id}/progress/stream", 40

    async def watch(browser: httpx.AsyncClient) -> str:
        async with browser.stream("GET", path, headers=client.headers) as answer:
            return "".join([line async for line in answer.aiter_lines() if line.startswith("event")])

    async def watch_all() -> list[str]:
        async with httpx.AsyncClient(timeout=60) as browser:
            watching = [asyncio.create_task(watch(browser)) for _ in range(count)]
            await asyncio.sleep(3.5)
            lifecycle.cancel(database, batch_id)
            return await asyncio.gather(*watching)

    began = time.monotonic()
    assert set(asyncio.run(watch_all())) == {"event: progressevent: over"}
    seconds = time.monotonic() - began
    assert 2 <= len(looks) <= seconds + 2
    app.state.feed._database.dispose()


def test_too_many_streams_are_refused(
    app: FastAPI, client: TestClient, batch_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_feed, "MOST_STREAMS", 0)
    answer = client.get(f"{ADMIN}/stt-batches/{batch_id}/progress/stream")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
