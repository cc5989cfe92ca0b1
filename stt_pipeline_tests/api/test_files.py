"""The files of a batch over HTTP: pages without gaps and repetitions, and the download of all results."""

import asyncio
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text

from stt_pipeline.api.downloads import FileStream
from stt_pipeline.api.transcript_reads import TranscriptReads
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline_tests.batches.exported_batches import processed_batch
from stt_pipeline_tests.batches.recordings import scanned, write_tone
from stt_pipeline_tests.rows import Rows
from stt_pipeline_tests.store import large_store

BASE = "/api/v1/admin/stt-batches"


@pytest.fixture
def half_done(database: Database) -> int:
    """A batch of 2,000 files in shards of 40: done, failed, to publish, in progress and pending."""
    with database.begin() as connection:
        large_store.add_batches(connection, 1, files=80, files_per_shard=40)
        batch_ids = large_store.add_batches(connection, 2, files=2_000, files_per_shard=40)
        large_store.do_half(connection, batch_ids, transcripts=1_500)
    return batch_ids[0]


def pages(client: TestClient, path: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
    cursor = None
    while True:
        answer = client.get(path, params={**query, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        yield answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return


@pytest.mark.slow
def test_the_fields_of_a_file(client: TestClient, database: Database, tmp_path: Path) -> None:
    batch = processed_batch(database, tmp_path / "in", ["팀 a/회의.wav"])
    bad, good = client.get(f"{BASE}/{batch.id}/files").json()["items"]
    assert good == {
        "id": good["id"],
        "uri": (tmp_path / "in" / "팀 a" / "회의.wav").as_uri(),
        "path": "팀 a/회의.wav",
        "size": 32_044,
        "status": "success",
        "attempts": 0,
        "error_class": None,
        "error": None,
        "duration": 1.0,
        "transcription_id": good["transcription_id"],
        "repeats": None,
    }
    assert client.get(f"/api/v1/admin/transcriptions/{good['transcription_id']}").json()["uri"] == good["uri"]
    assert (bad["status"], bad["error_class"], bad["transcription_id"]) == ("failed", "unreadable", None)
    assert bad["error"]
    assert client.get(f"{BASE}/{batch.id}/failures").json() == {"items": [bad], "next_cursor": None}


def test_a_file_says_which_file_it_repeats(client: TestClient, database: Database, tmp_path: Path) -> None:
    first = processed_batch(database, tmp_path / "in", ["회의.wav"])
    _, original = client.get(f"{BASE}/{first.id}/files").json()["items"]
    second = processed_batch(database, tmp_path / "copy", ["이름을 바꾼 회의.wav"])
    _, copy = client.get(f"{BASE}/{second.id}/files").json()["items"]
    assert copy["repeats"] == {"id": original["id"], "batch_id": first.id, "uri": original["uri"]}


@pytest.mark.slow
@pytest.mark.parametrize("status", [None, "pending", "transcribed", "success", "failed"])
def test_pages_together_are_all_files_of_a_status_once(
    client: TestClient, database: Database, half_done: int, status: str | None
) -> None:
    # without a status the last page is full
    query = {"limit": 200} | ({"status": status} if status else {})
    found = [item for page in pages(client, f"{BASE}/{half_done}/files", **query) for item in page]
    with database.begin() as connection:
        wanted = connection.execute(
            text("""
                SELECT f.id, f.status, t.id AS transcription_id FROM stt_audio_files f
                LEFT JOIN stt_transcriptions t ON t.audio_file_id = f.id AND t.created_at = f.created_at
                WHERE f.batch_id = :batch AND (f.status = :status OR :status IS NULL)
                ORDER BY CASE WHEN :status = 'failed' THEN error_class END, f.id
            """),
            {"batch": half_done, "status": status},
        ).all()
    assert len(wanted) > 5
    assert [(item["id"], item["status"], item["transcription_id"]) for item in found] == [*map(tuple, wanted)]


def test_failures_are_listed_by_class(client: TestClient, half_done: int) -> None:
    for size in (1, 3, 200):
        found = [item for page in pages(client, f"{BASE}/{half_done}/failures", limit=size) for item in page]
        assert len({item["id"] for item in found}) == len(found) > 3
        assert [item["error_class"] for item in found] == sorted(item["error_class"] for item in found)
    chosen = found[0]["error_class"]
    of_class = [item for item in found if item["error_class"] == chosen]
    # an error class selects failed files, also without a status
    for path in ("failures", "files", "files?status=failed"):
        answer = client.get(f"{BASE}/{half_done}/{path}", params={"error_class": chosen})
        assert answer.json()["items"] == of_class


INVALID_QUERIES = (
    "cursor=1",
    "cursor=x.1",
    "cursor=1.x",
    "cursor=1.1%0A",
    "cursor=download.1",
    "cursor=9999999999.1",
    "cursor=1.9999999999999999999",
    "cursor=-1.1",
    "cursor=%D9%A3.1",
    "cursor=",
    "status=failed&cursor=1.1",
    "error_class=download&cursor=1.1",
    "status=success&error_class=download",
    "status=done",
    "error_class=x",
    "limit=0",
    "limit=201",
)


def test_invalid_queries_are_rejected(client: TestClient, half_done: int) -> None:
    for query in INVALID_QUERIES:
        answer = client.get(f"{BASE}/{half_done}/files?{query}")
        assert (answer.status_code, bool(answer.json()["detail"])) == (422, True), query


def test_a_batch_that_does_not_exist(client: TestClient) -> None:
    for path in ("files", "files?status=failed", "failures", "export?format=txt", "export?format=parquet"):
        assert client.get(f"{BASE}/77/{path}").status_code == 404


@pytest.fixture
def processed(database: Database, tmp_path: Path) -> Batch:
    """A batch with two transcripts."""
    return processed_batch(database, tmp_path / "in", ["회의.wav", "b.wav"])


def test_a_batch_as_one_download(client: TestClient, processed: Batch) -> None:
    answer = client.get(f"{BASE}/{processed.id}/export?format=srt")
    assert answer.headers["content-type"] == "application/zip"
    stem = f"batch-{processed.id:06d}"
    assert f'filename="{stem}-srt.zip"' in answer.headers["content-disposition"]
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert [name.partition("-")[2] for name in names] == ["b.wav.srt", "회의.wav.srt"]
    for query, name in (("", "transcripts"), ("&dataset=minutes", "minutes")):
        answer = client.get(f"{BASE}/{processed.id}/export?format=parquet{query}")
        assert answer.headers["content-type"] == "application/vnd.apache.parquet"
        assert f"{stem}-{name}.parquet" in answer.headers["content-disposition"]
        assert pq.read_table(io.BytesIO(answer.content)).num_rows == 2
    for wrong in ("", "?format=pdf", "?format=parquet&dataset=x"):
        assert client.get(f"{BASE}/{processed.id}/export{wrong}").status_code == 422


def test_a_batch_without_transcripts_is_a_conflict(
    client: TestClient, database: Database, tmp_path: Path
) -> None:
    batch, _, _ = scanned(database, write_tone(tmp_path / "in" / "a.wav").parent)
    for format in ("txt", "parquet"):
        answer = client.get(f"{BASE}/{batch.id}/export?format={format}")
        assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")


def test_too_many_downloads_of_batches_are_refused(
    app: FastAPI, client: TestClient, processed: Batch
) -> None:
    reads = TranscriptReads(max_downloads=1)
    app.state.reads = reads
    with reads.download():
        answer = client.get(f"{BASE}/{processed.id}/export?format=srt")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert client.get(f"{BASE}/{processed.id}/export?format=srt").status_code == 200


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
def test_a_client_that_disconnects_ends_the_download(spec_version: str) -> None:
    made = []
    ended = []

    def chunks() -> Iterator[bytes]:
        try:
            for number in range(1_000_000):
                made.append(number)
                yield b"x"
        finally:
            ended.append(True)

    sent = 0

    async def send(message: Any) -> None:
        nonlocal sent
        sent += 1
        if sent > 5 and spec_version == "2.4":
            raise OSError("gone")
        await asyncio.sleep(0)

    async def receive() -> Any:
        while sent < 5:
            await asyncio.sleep(0.001)
        return {"type": "http.disconnect"}

    async def download() -> None:
        answer = FileStream(chunks(), media_type="application/zip", headers={}, reads=TranscriptReads())
        try:
            await answer({"type": "http", "asgi": {"spec_version": spec_version}}, receive, send)
        except Exception as error:
            assert spec_version == "2.4", error
        assert ended == [True]

    asyncio.run(download())
    assert 4 <= len(made) < 10_000


@pytest.mark.slow
def test_the_files_to_review_come_with_quality_notes(
    client: TestClient, database: Database, tmp_path: Path
) -> None:
    batch = processed_batch(database, tmp_path / "in", ["a.wav", "팀 b/회의.wav"])
    Rows(database).change(
        tables.transcriptions,
        ~tables.transcriptions.c.audio_file_path.endswith("/a.wav"),
        quality=0.25,
        speech_seconds=50,
        untranscribed_speech_seconds=20,
        detected_language="en",
        detected_language_probability=0.971,
    )
    worst, other = client.get(f"{BASE}/{batch.id}/review").json()["items"]
    assert worst == {
        "transcription_id": worst["transcription_id"],
        "path": "팀 b/회의.wav",
        "uri": (tmp_path / "in" / "팀 b" / "회의.wav").as_uri(),
        "duration": 1.1,
        "language": "ko",
        "detected_language": "en",
        "detected_language_probability": 0.971,
        "quality": 0.25,
        "speech_seconds": 50.0,
        "untranscribed_speech_seconds": 20.0,
        "suspect_segments": 0,
        "quality_notes": [
            "low confidence (0.25 of 1)",
            "20 s of 50 s of speech without text",
            "en was detected (0.97 of 1) instead of ko",
        ],
    }
    assert (other["path"], other["quality_notes"]) == ("a.wav", [])
    assert len(client.get(f"{BASE}/{batch.id}/review", params={"limit": 1}).json()["items"]) == 1
    assert client.get(f"{BASE}/77/review").status_code == 404
