"""How far a batch is, over HTTP: the figures once, and as a stream from a real server."""

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from stt_pipeline.batches import life
from stt_pipeline.batches.progress import Progress
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
        life.pause(database, batch_id)
        event, second = next(told)
        assert (event, second["status"]) == ("progress", "paused")
        life.cancel(database, batch_id)
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
