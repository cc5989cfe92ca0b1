"""`stt files|file|show|search` on a real database with a finished batch."""

import json
import re
import shlex

import pytest

from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline_tests.cli.conftest import Ended, Stt
from stt_pipeline_tests.rows import Rows


def _printed_command(stt: Stt, ended: Ended) -> Ended:
    """Run the command that the last line on stderr shows."""
    return stt(*shlex.split(ended.err.splitlines()[-1].partition(": ")[2])[1:])


def test_files_lists_a_batch_page_by_page(stt_on_database: Stt, ended_batch: int) -> None:
    first = stt_on_database("files", ended_batch, "--limit", 3)
    assert "월요일/회의 [1].wav" in first.shown
    second = _printed_command(stt_on_database, first)
    paths = [
        json.loads(line)["path"] for line in stt_on_database("files", ended_batch, "--json").out.splitlines()
    ]
    assert len(paths) == 4
    assert paths[-1] in second.shown
    assert paths[0] not in second.shown


def test_files_can_be_filtered_and_say_why_they_failed(stt_on_database: Stt, ended_batch: int) -> None:
    failed = stt_on_database("files", ended_batch, "--status", "failed", "--limit", 1)
    assert "[b]ad.mp3" in failed.shown
    assert "empty.wav" in _printed_command(stt_on_database, failed).shown
    assert stt_on_database("files", ended_batch, "--after", "x").code == 2


def test_file_finds_one_recording_by_name_and_leads_to_its_text(
    stt_on_database: Stt, ended_batch: int
) -> None:
    found = stt_on_database("file", "월요일")
    assert "월요일/회의 [1].wav" in found.shown
    assert "status success" in found.shown
    assert "%EC" not in found.out  # the address is readable
    text = _printed_command(stt_on_database, found)
    assert text.code == 0
    assert "회의 [1].wav" in text.out
    failed = stt_on_database("file", "[B]AD", "--batch", ended_batch)
    assert "unreadable" in failed.shown


def test_file_lists_several_and_refuses_none(stt_on_database: Stt, ended_batch: int) -> None:
    several = stt_on_database("file", "회의")
    assert "월요일" in several.shown
    assert "화요일" in several.shown
    lines = [json.loads(line) for line in stt_on_database("file", "회의", "--json").out.splitlines()]
    assert [line["batch_id"] for line in lines] == [ended_batch] * 2
    none = stt_on_database("file", "absent")
    assert (none.code, none.out) == (2, "")
    assert "stt batch list" in none.err


def test_a_copy_says_what_it_repeats(stt_on_database: Stt, ended_batch: int, database: Database) -> None:
    both = tables.audio_files.c.uri.like("%.wav"), tables.audio_files.c.duration.is_not(None)
    Rows(database).change(tables.audio_files, *both, content_sha256=b"1" * 32)
    first, second = (json.loads(line) for line in stt_on_database("file", "회의", "--json").out.splitlines())
    assert first["repeats"] is None
    assert second["repeats"] == {"id": first["id"], "batch_id": ended_batch, "uri": first["uri"]}
    assert f"[1].wav of batch {ended_batch}: the same content" in stt_on_database("file", "화요일").shown
    assert f"(repeats 회의 [1].wav of batch {ended_batch})" in stt_on_database("files", ended_batch).shown


def test_show_prints_minutes_and_transcript_by_number_and_by_name(
    stt_on_database: Stt, ended_batch: int
) -> None:
    by_name = stt_on_database("show", "월요일")
    assert by_name.out.startswith("# ")
    (line,) = stt_on_database("file", "월요일", "--json").out.splitlines()
    assert stt_on_database("show", json.loads(line)["transcription_id"]).out == by_name.out
    assert stt_on_database("show", "월요일", "--format", "srt").out.startswith("1\n00:00:")
    assert "<v " in stt_on_database("show", "월요일", "--format", "vtt").out
    assert "<v " not in stt_on_database("show", "월요일", "--format", "vtt", "--no-speaker-labels").out
    assert "max_line_width is 7" in stt_on_database("show", "월요일", "--max-line-width", "7").err


@pytest.mark.parametrize(
    ("recording", "code", "said"),
    [
        ("회의", 1, "give the number of the transcript"),
        ("[b]ad", 2, "has no transcript yet"),
        ("absent", 2, "No recording of any batch"),
        ("99999", 2, "Transcription 99999 does not exist"),
    ],
)
def test_show_says_why_there_is_nothing_to_print(
    stt_on_database: Stt, ended_batch: int, recording: str, code: int, said: str
) -> None:
    ended = stt_on_database("show", recording)
    assert ended.code == code
    assert said in ended.err
    assert stt_on_database("show", "월요일", "--format", "docx").code == 2


def test_search_shows_lines_with_time_and_speaker(stt_on_database: Stt, ended_batch: int) -> None:
    word = "알겠습니다"
    assert re.search(rf"\[0:0\d\] 화자 1: .*{word}", stt_on_database("search", word).out)
    found = stt_on_database("search", word, "--limit", 1)
    older = _printed_command(stt_on_database, found)
    assert older.out != found.out
    assert stt_on_database("search", "없는단어").code == 1
    assert (
        json.loads(stt_on_database("search", word, "--json").out.splitlines()[0])["batch_id"] == ended_batch
    )
