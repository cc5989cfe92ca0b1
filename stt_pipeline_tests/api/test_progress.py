"""The progress of a batch over HTTP: once, and as a stream from a real server."""

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

from stt_pipeline.api.progress_feed import POLL_SECONDS, ProgressFeed
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
    """Yield (event, data) of a stream."""
    event = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            event = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield event, json.loads(line.removeprefix("data: "))


def test_the_fields_are_those_of_progress(client: TestClient, batch_id: int) -> None:
    answer = client.get(f"{ADMIN}/stt-batches/{batch_id}/progress").json()
    assert set(answer) == {field.name for field in fields(Progress)}
    assert (answer["batch_id"], answer["total_files"], answer["pending"]) == (batch_id, 2, 2)


@pytest.mark.slow
def test_a_stream_has_the_changes_until_the_batch_ends(
    client: TestClient, server: str, database: Database, batch_id: int
) -> None:
    with httpx.stream(
        "GET", f"{server}{ADMIN}/stt-batches/{batch_id}/progress/stream", headers=client.headers, timeout=60
    ) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        received = events(answer)
        event, first = next(received)
        assert (event, first["status"]) == ("progress", "processing")
        lifecycle.pause(database, batch_id)
        event, second = next(received)
        assert (event, second["status"]) == ("progress", "paused")
        lifecycle.cancel(database, batch_id)
        event, last = next(received)
        assert (event, last["status"]) == ("over", "cancelled")
        assert list(received) == []


def test_errors_of_a_stream_and_a_client_that_disconnects(
    client: TestClient, server: str, batch_id: int
) -> None:
    refused = httpx.get(f"{server}{ADMIN}/stt-batches/77/progress/stream", headers=client.headers)
    assert (refused.status_code, refused.headers["Content-Type"]) == (404, "application/problem+json")
    assert httpx.get(f"{server}{ADMIN}/stt-batches/{batch_id}/progress/stream").status_code == 401
    # after a disconnect nothing prevents the stop of the server
    with httpx.stream(
        "GET", f"{server}{ADMIN}/stt-batches/{batch_id}/progress/stream", headers=client.headers
    ) as answer:
        next(events(answer))


class CountingDatabase(Database):
    """Counts the polls of a feed."""

    polls = 0

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        self.polls += 1
        with super().snapshot() as connection:
            yield connection


@pytest.fixture
def counting(database: Database) -> Iterator[CountingDatabase]:
    """The same database, with a count."""
    opened = CountingDatabase(database.url)
    yield opened
    opened.dispose()


def test_streams_share_a_poll_until_it_expires(counting: CountingDatabase, batch_id: int) -> None:
    async def poll(feed: ProgressFeed) -> None:
        await asyncio.gather(*(feed.progress(batch_id) for _ in range(40)))

    async def poll_again() -> None:
        feed = ProgressFeed(counting, poll_seconds=0.0)
        while counting.polls < 3:
            await feed.progress(batch_id)
            await asyncio.sleep(0)

    asyncio.run(poll(ProgressFeed(counting, poll_seconds=3600.0)))
    assert counting.polls == 1
    asyncio.run(poll_again())


@pytest.mark.slow
def test_many_streams_of_a_batch_poll_once_a_second(
    app: FastAPI, client: TestClient, counting: CountingDatabase, server: str, batch_id: int
) -> None:
    app.state.feed = ProgressFeed(counting)
    path, count = f"{server}{ADMIN}/stt-batches/{batch_id}/progress/stream", 40
    started = 0

    async def watch(browser: httpx.AsyncClient) -> list[str]:
        nonlocal started
        received = []
        async with browser.stream("GET", path, headers=client.headers) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    started += not received
                    received.append(line.removeprefix("event: "))
        return received

    async def watch_all() -> list[list[str]]:
        async with httpx.AsyncClient(timeout=60) as browser:
            watching = [asyncio.create_task(watch(browser)) for _ in range(count)]
            while started < count:
                await asyncio.sleep(0.05)
            lifecycle.cancel(counting, batch_id)
            return await asyncio.gather(*watching)

    began = time.monotonic()
    assert asyncio.run(watch_all()) == [["progress", "over"]] * count
    seconds = time.monotonic() - began
    assert 1 <= counting.polls <= seconds / POLL_SECONDS + 1


def test_too_many_streams_are_rejected(
    app: FastAPI, client: TestClient, database: Database, batch_id: int
) -> None:
    app.state.feed = ProgressFeed(database, max_streams=0)
    answer = client.get(f"{ADMIN}/stt-batches/{batch_id}/progress/stream")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
