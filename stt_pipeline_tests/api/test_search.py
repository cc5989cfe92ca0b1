"""Search over HTTP in transcripts and minutes that the stages wrote."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from stt_pipeline.audio.sound import Sound
from stt_pipeline.batches.stages import search_index
from stt_pipeline.search.blocks import transcript_blocks
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.transcript import Segment, Transcript
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.results import search
from stt_pipeline.store.results.search import Indexed
from stt_pipeline_tests.api.conftest import ADMIN
from stt_pipeline_tests.batches.recordings import OneByOne, OneSpeaker, scanned, write_tone
from stt_pipeline_tests.cli.processed_batches import process
from stt_pipeline_tests.rows import Rows

DAY = datetime(2026, 1, 1, tzinfo=UTC)
LINES = (
    "정기회의를 시작하겠습니다.",
    "예산안은 다음 주 회의에서 확정하기로 했습니다.",
    "<b>보고서</b> 초안을 보냈습니다.",
)


class Saying(OneByOne):
    """Returns the same lines for every recording."""

    model = "saying"

    def hear(self, recording: Recording, sound: Sound) -> Transcript:
        segments = tuple(Segment(10.0 * n, 10.0 * n + 9, line) for n, line in enumerate(LINES))
        return Transcript("ko", 1.0, 30.0, self.model, segments)


@pytest.fixture
def batch_id(database: Database, tmp_path: Path) -> int:
    """A batch of one recording, with transcript and minutes."""
    write_tone(tmp_path / "in" / "주간 회의.wav", 30.0)
    batch, _, keys = scanned(database, tmp_path / "in")
    process(database, batch.id, keys, Saying(), OneSpeaker(), tmp_path / "outbox")
    return batch.id


def add(database: Database, number: int, *lines: str, batch_id: int = 1, at: int | None = None) -> None:
    """Write a transcription with these lines, each of 100 seconds; ``at`` is the id of its first block."""
    segments = tuple(
        Segment(100.0 * n, 100.0 * n + 99, line, speaker="SPEAKER_00") for n, line in enumerate(lines)
    )
    transcript = Transcript("ko", 1.0, 100.0 * len(lines), "none", segments)
    row_id = Rows(database).transcription(
        number, batch_id=batch_id, audio_file_path="file:///in/a.wav", created_at=DAY
    )
    with database.begin() as connection:
        if at is not None:
            connection.execute(text(f"ALTER SEQUENCE stt_search_id_seq RESTART {at}"))
        search.replace(
            connection, [Indexed(row_id, DAY, batch_id, "transcript", transcript_blocks(transcript))]
        )


def found(client: TestClient, q: str, **how: Any) -> Any:
    answer = client.get(f"{ADMIN}/search", params={"q": q, **how})
    assert answer.status_code == 200, answer.text
    return answer.json()


def numbers(page: Any) -> list[int]:
    return [item["audio_file_id"] for item in page["items"]]


def test_a_word_is_found_in_every_form_with_time_and_speaker(client: TestClient, batch_id: int) -> None:
    for word in ("회의", "회의를", "회의에서", "회의는?", "정기 회의"):
        item = next(one for one in found(client, word)["items"] if one["part"] == "transcript")
        assert (item["batch_id"], item["file_name"], item["start"]) == (batch_id, "주간 회의.wav", 0.0), word
        assert item["hits"][:2] == [
            {"start": 0.0, "speaker": "SPEAKER_00", "snippet": "<mark>정기회의를</mark> 시작하겠습니다."},
            {
                "start": 10.0,
                "speaker": "SPEAKER_00",
                "snippet": "예산안은 다음 주 <mark>회의에서</mark> 확정하기로 했습니다.",
            },
        ], word


def test_minutes_are_found_and_text_is_escaped(client: TestClient, batch_id: int) -> None:
    page = found(client, "보고서")
    assert {item["part"] for item in page["items"]} == {"transcript", "minutes"}
    snippets = [hit["snippet"] for item in page["items"] for hit in item["hits"]]
    assert any("&lt;" in snippet for snippet in snippets)
    assert not any("<b>" in snippet for snippet in snippets)


def test_phrases_follow_each_other(client: TestClient, database: Database) -> None:
    add(database, 1, "예산을 회의에서 확정했습니다.")
    add(database, 2, "회의에서 예산을 확정했습니다.")
    assert numbers(found(client, "예산 회의")) == [2, 1]
    assert numbers(found(client, '"예산 회의"')) == [1]
    assert numbers(found(client, '"예산을 확정"')) == [2]


def test_newest_first_page_by_page_over_many_sections(client: TestClient, database: Database) -> None:
    section = 1 << search.SECTION_BITS
    for number in range(1, 8):
        add(database, number, "회의를 했습니다.", "점심을 먹었다.", at=number * 5 * section)
    seen, cursor = [], None
    while True:
        page = found(client, "회의", limit=2, **({"cursor": cursor} if cursor else {}))
        assert len(page["items"]) <= 2
        seen += numbers(page)
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]


def test_a_call_that_takes_too_long_returns_its_results_so_far(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "ENOUGH_SECONDS", 0.0)
    section = 1 << search.SECTION_BITS
    add(database, 1, "크로노그래프를 샀습니다.", at=1)
    add(database, 2, "회의를 했습니다.", at=10 * section)
    pages = [found(client, "크로노그래프")]
    while pages[-1]["next_cursor"]:
        pages.append(found(client, "크로노그래프", cursor=pages[-1]["next_cursor"]))
    assert [numbers(page) for page in pages] == [[]] * (len(pages) - 1) + [[1]]
    assert 1 < len(pages) < 20


def test_a_batch_alone(client: TestClient, database: Database) -> None:
    add(database, 1, "회의를 했습니다.", batch_id=1, at=1)
    add(database, 2, "회의를 했습니다.", batch_id=2, at=1 << 40)
    assert numbers(found(client, "회의", batch_id=1)) == [1]
    assert numbers(found(client, "회의", batch_id=2)) == [2]
    assert found(client, "회의", batch_id=3) == {"items": [], "next_cursor": None}


@pytest.mark.slow
def test_invalid_queries_are_rejected(client: TestClient) -> None:
    for q in ("&", "그리고", '""', "x" * 201, "\x00", "", "!회의 | :*" + chr(0), "<->"):
        answer = client.get(f"{ADMIN}/search", params={"q": q})
        assert answer.status_code == 422, q
        assert answer.json()["detail"], q


def test_query_operators_of_the_database_have_no_effect(client: TestClient, batch_id: int) -> None:
    for q in ("회의 & | ! <-> :*", "'회의'", "\\회의\\", "회의'); DROP TABLE stt_search; --", "💥회의%"):
        assert client.get(f"{ADMIN}/search", params={"q": q}).status_code == 200, q
        assert found(client, "회의")["items"], q


def test_an_invalid_cursor_is_rejected(client: TestClient) -> None:
    for cursor in ("x", "0", "-1", "9" * 30, "１"):
        assert client.get(f"{ADMIN}/search", params={"q": "회의", "cursor": cursor}).status_code == 422, (
            cursor
        )


def test_a_reindexed_text_is_found_once(database: Database, client: TestClient, batch_id: int) -> None:
    before = found(client, "회의")["items"]
    assert [*search_index.reindex(database)] == []
    assert len([*search_index.reindex(database, force=True)]) == 1
    assert found(client, "회의")["items"] == before


def test_a_deleted_transcription_is_not_found(database: Database, client: TestClient) -> None:
    add(database, 1, "회의를 했습니다.")
    Rows(database).delete(tables.transcriptions)
    assert found(client, "회의")["items"] == []
