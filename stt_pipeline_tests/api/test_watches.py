"""Watches over HTTP, and what callers are told of a bucket that cannot be opened."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from stt_pipeline.api.app import create_app
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches
from stt_pipeline_tests.api.conftest import ADMIN
from stt_pipeline_tests.batches.watched import Keys, Watched

WATCHES = f"{ADMIN}/stt-watches"
QUEUE = "https://sqs.ap-northeast-2.amazonaws.com/123456789012/recordings"


def _client_of(client: TestClient, database: Database, **settings: Any) -> TestClient:
    """Return a client of an app with other settings, with the same key."""
    app = create_app(Settings(_env_file=None, **settings), database)
    return TestClient(app, headers=dict(client.headers), raise_server_exceptions=False)


def test_a_watch_is_added_as_it_was_asked_for(client: TestClient, database: Database, bucket: str) -> None:
    of_bucket = _client_of(client, database, allowed_sources=f"s3://{bucket}/calls")
    fields = {
        "source_path": f"s3://{bucket}/calls",
        "file_pattern": "**/*.wav",
        "name": "통화",
        "batching": "arrival",
        "queue_url": QUEUE,
        "priority": "high",
        "notify_emails": ["kim@example.com"],
        "new_only": True,
    }
    answer = of_bucket.post(WATCHES, json={**fields, "options": {"language": "ko"}})
    assert answer.status_code == 201, answer.text
    watch = answer.json()
    assert watch.pop("warnings") == []
    new_only = fields.pop("new_only")
    assert {name: watch[name] for name in fields} == fields
    assert (watch["options"]["language"], bool(watch["since"])) == ("ko", new_only)
    assert watch["created_by"].startswith("a admin (API key")
    assert (watch["files"], watch["looked_at"], watch["error"]) == (0, None, None)
    shown = client.get(answer.headers["Location"]).json()
    assert shown == {**watch, "batches": [], "dead_letters": []}
    assert of_bucket.post(WATCHES, json={"source_path": f"s3://{bucket}"}).status_code == 422


def test_watches_are_listed_shown_and_removed(
    client: TestClient, database: Database, recordings: Path
) -> None:
    for name in "abc":
        client.post(WATCHES, json={"source_path": recordings.as_uri(), "name": name}).raise_for_status()
    first = client.get(WATCHES, params={"limit": 2}).json()
    second = client.get(WATCHES, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [watch["name"] for watch in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["next_cursor"] is None
    bell = Watched(database, Keys("a.wav"), queue_url=QUEUE)
    bell.poll()
    with database.begin() as connection:
        watches.add_dead_letter(
            connection, QUEUE, "m1", "a secret of another team", "The message is not JSON."
        )
    shown = client.get(f"{WATCHES}/{bell.id}").json()
    (letter,) = shown["dead_letters"]
    assert letter.pop("at")
    # not its body, which may hold anything
    assert letter == {"id": 1, "message_id": "m1", "error": "The message is not JSON."}
    assert (shown["files"], shown["batches"]) == (1, bell.batch_ids)
    batch = client.get(f"{ADMIN}/stt-batches/{bell.batch_ids[0]}").json()
    assert batch["watch_id"] == bell.id
    assert (
        batch["open_until"] == client.get(f"{ADMIN}/stt-batches/{batch['id']}/progress").json()["open_until"]
    )
    removed = client.delete(f"{WATCHES}/{bell.id}")
    assert (removed.status_code, removed.json()["id"]) == (200, bell.id)
    for method in ("GET", "DELETE"):
        assert client.request(method, f"{WATCHES}/{bell.id}").status_code == 404
    assert client.get(f"{ADMIN}/stt-batches/{batch['id']}").json()["open_until"] is None


def test_a_queue_of_another_server_wants_a_setting(
    client: TestClient, database: Database, bucket: str
) -> None:
    body = {"source_path": f"s3://{bucket}", "queue_url": "http://127.0.0.1:4566/1/q"}
    refused = _client_of(client, database, allowed_sources=f"s3://{bucket}").post(WATCHES, json=body)
    assert refused.status_code == 422
    assert "STT_SQS_ENDPOINTS" in refused.json()["detail"]
    named = _client_of(
        client, database, allowed_sources=f"s3://{bucket}", sqs_endpoints="http://127.0.0.1:4566"
    )
    assert named.post(WATCHES, json=body).status_code == 201


@pytest.mark.slow
@pytest.mark.parametrize("path", ["stt-watches", "stt-batches", "stt-batches/estimate"])
def test_a_bucket_that_cannot_be_opened_is_said(
    client: TestClient, database: Database, bucket: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(name: str) -> tuple[int, str]:
        of_buckets = _client_of(client, database, allowed_sources=f"s3://{bucket},s3://no-such-bucket")
        answer = of_buckets.post(f"{ADMIN}/{path}", json={"source_path": f"s3://{name}"})
        return answer.status_code, answer.json().get("detail", "")

    status, detail = asked("no-such-bucket")
    assert (status, "bucket does not exist" in detail) == (422, True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    status, detail = asked(bucket)
    assert (status, "does not answer" in detail) == (503, True)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    status, detail = asked(bucket)
    assert (status, detail[:32]) == (503, "A setting of the server is wrong")
