"""Batches over HTTP: the rows and the response of each call, and the requests that it rejects."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from stt_pipeline.batches.execution import dispatch
from stt_pipeline.batches.requests import lifecycle, retry
from stt_pipeline.store import tables
from stt_pipeline.store.access import audit
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches, transitions
from stt_pipeline_tests.api.conftest import ADMIN, ClientFor
from stt_pipeline_tests.batches.recordings import MAX_BYTES, scan, write_tone
from stt_pipeline_tests.rows import Rows

BATCHES = f"{ADMIN}/stt-batches"


def made(client: TestClient, recordings: Path, **fields: Any) -> dict[str, Any]:
    answer = client.post(BATCHES, json={"source_path": recordings.as_uri(), **fields})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    assert body.pop("warnings") == []
    return body


def did(database: Database, batch_id: int) -> list[tuple[str, str]]:
    with database.begin() as connection:
        return [(entry.who, entry.action) for entry in audit.of_batch(connection, batch_id)]


def scan_now(database: Database, batch_id: int) -> list[str]:
    with database.begin() as connection:
        batch = batches.get(connection, batch_id)
    keys: list[str] = []
    scan(database, batch, keys)
    return keys


def test_a_batch_has_the_values_of_its_request(
    client: TestClient, database: Database, recordings: Path
) -> None:
    answer = client.post(
        BATCHES,
        json={
            "source_path": recordings.as_uri(),
            "file_pattern": "**/*.wav",
            "name": "3월 임원 회의",
            "priority": "high",
            "notify_emails": ["kim@EXAMPLE.com", "kim@example.com"],
            "options": {"language": "ko", "max_speakers": 4},
        },
    )
    assert answer.status_code == 201
    batch = answer.json()
    assert batch.pop("warnings") == []
    assert answer.headers["Location"] == f"{BATCHES}/{batch['id']}"
    assert client.get(answer.headers["Location"]).json() == batch
    assert (batch["status"], batch["total_files"], batch["name"]) == ("pending", None, "3월 임원 회의")
    assert (batch["notify_emails"], batch["priority"]) == (["kim@example.com"], "high")
    assert (batch["options"]["language"], batch["options"]["max_speakers"]) == ("ko", 4)
    assert batch["created_by"] == "a admin (API key 1)"
    assert did(database, batch["id"]) == [("a admin (API key 1)", "batch.create")]


@pytest.mark.parametrize("path", [BATCHES, f"{ADMIN}/stt-watches"])
def test_without_a_name_the_source_gives_one_and_a_blank_name_is_refused(
    client: TestClient, recordings: Path, path: str
) -> None:
    def post(**values: Any) -> Any:
        return client.post(path, json={"source_path": recordings.as_uri(), **values})

    assert [post(**values).json()["name"] for values in ({}, {"name": ""})] == [recordings.name] * 2
    assert post(name=" a \n b ").json()["name"] == "a b"
    refused = post(name=" \n")
    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["where"]) == (422, "body.name")
    assert error["message"] == "a name has printable characters: change it, or leave it out"


@pytest.mark.parametrize("name", ["", " \n", "a\0b"])
def test_a_batch_is_not_renamed_to_a_blank_name(client: TestClient, recordings: Path, name: str) -> None:
    at = f"{BATCHES}/{made(client, recordings)['id']}"
    refused = client.put(at, json={"name": name})
    assert (refused.status_code, refused.json()["errors"][0]["where"]) == (422, "body.name")
    assert client.get(at).json()["name"] == recordings.name


def test_an_invalid_address_is_named_by_its_index(client: TestClient, recordings: Path) -> None:
    body = {"source_path": recordings.as_uri(), "notify_emails": ["kim@example.com", "kim"]}
    refused = client.post(BATCHES, json=body)
    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["where"]) == (422, "body.notify_emails.1")
    assert "email address" in error["message"]


def test_the_lifecycle_of_a_batch(client: TestClient, database: Database, recordings: Path) -> None:
    for n in range(3):
        write_tone(recordings / f"{n}.wav")
    batch_id = made(client, recordings)["id"]
    scan_now(database, batch_id)
    at = f"{BATCHES}/{batch_id}"
    assert client.get(at).json()["total_files"] == 3
    changed = client.put(
        at, json={"action": "pause", "priority": "low", "name": "다음 달", "notify_emails": ["a@b.kr"]}
    )
    assert changed.status_code == 200
    shown = {name: changed.json()[name] for name in ("status", "priority", "name", "notify_emails")}
    assert shown == {"status": "paused", "priority": "low", "name": "다음 달", "notify_emails": ["a@b.kr"]}
    assert client.put(at, json={"action": "pause"}).status_code == 409
    assert client.put(at, json={"action": "resume"}).json()["status"] == "processing"
    assert client.delete(at).status_code == 409
    assert client.post(f"{at}/cancel").json()["status"] == "cancelled"
    deleted = client.delete(at)
    assert (deleted.status_code, deleted.json()["status"]) == (202, "deleting")
    actions = [action.removeprefix("batch.") for _, action in did(database, batch_id)]
    assert actions == ["create", "change", "pause", "resume", "cancel", "delete"]


def test_a_change_that_is_rejected_in_part_changes_nothing(
    client: TestClient, database: Database, recordings: Path
) -> None:
    batch = made(client, recordings)
    at = f"{BATCHES}/{batch['id']}"
    assert client.put(at, json={"name": "new", "action": "resume"}).status_code == 409
    assert client.put(at, json={"name": "new", "notify_emails": ["nobody"]}).status_code == 422
    assert client.put(at, json={}).status_code == 422
    assert client.put(at, json={"name": None}).status_code == 422
    assert client.get(at).json() == batch
    assert len(did(database, batch["id"])) == 1


@pytest.mark.slow
def test_a_list_is_paged_and_filtered(client: TestClient, client_for: ClientFor, recordings: Path) -> None:
    operator = client_for("operator")
    ids = [made(client, recordings, name=f"Board {n} 100%")["id"] for n in range(5)]
    other = made(operator, recordings, name="team_meeting", priority="high")["id"]

    def listed(**query: Any) -> list[int]:
        answer = client.get(BATCHES, params=query)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["items"]]

    pages, cursor = [], None
    while True:
        page = client.get(BATCHES, params={"limit": 4, **({"cursor": cursor} if cursor else {})}).json()
        pages.append([one["id"] for one in page["items"]])
        if (cursor := page["next_cursor"]) is None:
            break
    assert pages == [[other, *ids[:1:-1]], [ids[1], ids[0]]]
    assert listed(name="board") == ids[::-1]
    assert listed(name="100%") == ids[::-1]
    assert listed(name="m_m") == [other]
    assert listed(name="%") == ids[::-1]
    assert listed(priority="high") == [other]
    assert listed(status="pending", priority="normal") == ids[::-1]
    assert listed(status="paused") == []
    assert listed(created_by="a operator (API key 2)") == [other]
    now = datetime.now(UTC)
    assert len(listed(created_from=(now - timedelta(hours=1)).isoformat())) == 6
    assert listed(created_before=(now - timedelta(hours=1)).isoformat()) == []


@pytest.mark.parametrize("cursor", ["x", "-1", "0", "1.5", "²", "9" * 30, "1;2"])
def test_an_invalid_cursor_is_rejected(client: TestClient, cursor: str) -> None:
    answer = client.get(BATCHES, params={"cursor": cursor})
    assert answer.status_code == 422
    assert "cursor" in answer.json()["detail"]


@pytest.mark.parametrize("error_class", [None, "unreadable"])
def test_a_retry_is_requested_and_processed(
    client: TestClient, database: Database, recordings: Path, error_class: str | None
) -> None:
    write_tone(recordings / "good.wav")
    batch_id = made(client, recordings)["id"]
    scan_now(database, batch_id)
    at = f"{BATCHES}/{batch_id}/retry"
    wish = {"error_class": error_class} if error_class else None
    assert client.post(at, json=wish).status_code == 409
    fail_all(database, batch_id)
    answer = client.post(at, json=wish)
    assert (answer.status_code, answer.json()["failed_files"]) == (202, 1)
    assert answer.json()["status"] == "processing"
    assert "already" in client.post(at).json()["detail"]
    assert retry.process_retries(database, max_file_bytes=MAX_BYTES, seconds=60) == 1
    progress = client.get(f"{BATCHES}/{batch_id}/progress").json()
    assert (progress["failed"], progress["pending"]) == (0, 1)
    assert retry.process_retries(database, max_file_bytes=MAX_BYTES, seconds=60) == 0
    assert client.post(at).status_code == 409


def test_a_batch_does_not_end_before_its_retry_is_processed(
    client: TestClient, database: Database, recordings: Path
) -> None:
    batch_id = failed_batch(client, database, recordings)
    Rows(database).change(tables.shards, stage="done")
    with database.begin() as connection:
        transitions.set_stage(connection, batch_id, "report")
        transitions.close(connection, batch_id, "failed")
    assert client.post(f"{BATCHES}/{batch_id}/retry").status_code == 202
    for _ in range(2):
        dispatch.tick(database, max_shards_in_flight=10, max_active_batches=10, max_attempts=3)
        assert client.get(f"{BATCHES}/{batch_id}").json()["status"] == "processing"
    assert retry.process_retries(database, max_file_bytes=MAX_BYTES, seconds=60) == 1


def test_a_batch_with_options_of_another_version_is_shown(
    client: TestClient, database: Database, recordings: Path
) -> None:
    batch_id = made(client, recordings)["id"]
    Rows(database).change(tables.batches, options={"max_speakers": 500, "gone": 1})
    (shown,) = client.get(BATCHES).json()["items"]
    assert (shown["id"], shown["options"]["max_speakers"]) == (batch_id, 500)


def test_a_retry_of_a_batch_that_is_cancelled_meanwhile_is_dropped(
    client: TestClient, database: Database, recordings: Path
) -> None:
    batch_id = failed_batch(client, database, recordings)
    assert client.post(f"{BATCHES}/{batch_id}/retry").status_code == 202
    lifecycle.cancel(database, batch_id)
    assert retry.process_retries(database, max_file_bytes=MAX_BYTES, seconds=60) == 0
    with database.begin() as connection:
        assert batches.pending_retries(connection) == []


def failed_batch(client: TestClient, database: Database, recordings: Path) -> int:
    """Create and scan a batch of one file, and fail the file."""
    write_tone(recordings / "good.wav")
    batch_id: int = made(client, recordings)["id"]
    scan_now(database, batch_id)
    fail_all(database, batch_id)
    return batch_id


def fail_all(database: Database, batch_id: int) -> None:
    """Mark the files of a batch as unreadable."""
    Rows(database).fail(tables.audio_files.c.batch_id == batch_id, error_class="unreadable")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""), ("GET", "/progress"), ("GET", "/progress/stream"), ("PUT", ""), ("DELETE", ""), ("POST", "/retry"),
        ("POST", "/cancel"),
    ],
)  # fmt: skip
def test_a_batch_that_does_not_exist(client: TestClient, method: str, path: str) -> None:
    answer = client.request(
        method, f"{BATCHES}/77{path}", json={"action": "pause"} if method == "PUT" else None
    )
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"].startswith("Batch 77 does not exist.")
