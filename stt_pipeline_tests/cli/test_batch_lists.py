"""`stt batch list|show|failures|review` on a real database."""

import getpass
import json
import shlex
from pathlib import Path

import pytest
from rich.cells import cell_len

from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import leases, shards
from stt_pipeline.store.tables import shards as shards_table
from stt_pipeline_tests.batches.recordings import scanned, write_tone
from stt_pipeline_tests.cli.conftest import Ended, Stt
from stt_pipeline_tests.rows import Rows


def _next_page(stt: Stt, ended: Ended) -> Ended:
    """Run the command that is printed at the end of a page."""
    (line,) = ended.err.splitlines()
    return stt(*shlex.split(line.partition(": ")[2])[1:])


def test_list_shows_the_newest_first_page_by_page(stt_on_database: Stt, tmp_path: Path) -> None:
    ended = stt_on_database("batch", "list")
    assert (ended.code, ended.out, ended.err) == (0, "", "There is no batch.\n")
    for name in ("first", "second", "[third]"):
        stt_on_database("batch", "create", tmp_path, "--name", name)
    ended = stt_on_database("batch", "list", "--limit", "2")
    assert ended.code == 0
    assert ended.out.index("[third]") < ended.out.index("second")
    assert "first" not in ended.out
    ended = _next_page(stt_on_database, ended)
    assert (ended.code, ended.err) == (0, "")
    assert "first" in ended.out
    assert "second" not in ended.out


def test_list_shows_the_progress_of_each_batch(
    stt_on_database: Stt, database: Database, ended_batch: int, tmp_path: Path
) -> None:
    stt_on_database("batch", "create", tmp_path, "--name", "waits", "--priority", "high")
    newest, oldest = stt_on_database("batch", "list").out.splitlines()[2:]
    assert newest.split()[:6] == [str(ended_batch + 1), "pending", "high", "-", "-", "-"]
    assert oldest.split()[:7] == [str(ended_batch), "completed", "normal", "4", "100.0", "%", "2"]
    assert oldest.split()[-1] == "[월간]"
    only = stt_on_database("batch", "list", "--status", "completed")
    assert only.out.splitlines()[2:] == [oldest]
    assert stt_on_database("batch", "list", "--status", "paused").err == "There is no batch that is paused.\n"
    assert stt_on_database("batch", "list", "--before", ended_batch).err == "There is no older batch.\n"
    waiting, over = map(json.loads, stt_on_database("batch", "list", "--json").out.splitlines())
    assert (waiting["name"], waiting["total_files"], waiting["source_path"]) == (
        "waits",
        None,
        tmp_path.as_uri(),
    )
    assert {name: over[name] for name in ("id", "completed", "failed", "pending", "progress_percentage")} == {
        "id": ended_batch,
        "completed": 2,
        "failed": 2,
        "pending": 0,
        "progress_percentage": 100.0,
    }


def test_list_fits_a_terminal_with_the_largest_figures(
    stt_on_database: Stt, database: Database, tmp_path: Path
) -> None:
    name = "2026년 하반기 전사 회의 녹음 원본 보관분 " * 3
    scanned(database, write_tone(tmp_path / "in" / "a.wav").parent, name=name)
    rows = Rows(database)
    rows.change(tables.batches, total_files=5_000_000)
    rows.change(tables.shards, total=5_000_000, completed=3_888_888, failed=1_111_111)
    lines = stt_on_database("batch", "list").out.splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert lines[2].split()[3:7] == ["5,000,000", "99.9", "%", "1,111,111"]
    shown = "".join(line[65:].replace(" ", "") for line in lines[2:])
    assert shown.endswith(name.replace(" ", "")[-20:])
    assert "…" not in "".join(lines)


def test_show_of_a_finished_batch(stt_on_database: Stt, ended_batch: int, tmp_path: Path) -> None:
    ended = stt_on_database("batch", "show", ended_batch)
    assert (ended.code, ended.err) == (0, "")
    for row in (
        f"batch {ended_batch} [월간]",
        "status completed",
        "stage done",
        "priority normal",
        "pattern every known audio and video extension",
        "options none: those of the settings",
        "mail to kim@example.com",
        "mails sent 3",
        "files 4",
        "files per shard 1",
        "shards 4 done",
        "partitions in Dagster",
    ):
        assert row in ended.shown
    page = json.loads(stt_on_database("batch", "show", ended_batch, "--json").out)
    assert page["source_path"] == (tmp_path / "in").as_uri()
    assert page["shards"] == {"done": {"shards": 4, "dispatched": 0, "in_progress": 0}}
    assert (page["mails_sent"], page["notify_emails"], page["retired_at"]) == (3, ["kim@example.com"], None)


def test_show_before_the_scan_with_options(stt_on_database: Stt, tmp_path: Path) -> None:
    stt_on_database(
        *("batch", "create", tmp_path, "--pattern", "*.wav", "--priority", "low"),
        *("--option", "model=demo", "--option", "max_speakers=4"),
    )
    shown = stt_on_database("batch", "show", 1).shown
    for row in (
        "stage scan",
        "priority low",
        "pattern *.wav",
        "options model=demo, max_speakers=4",
        "mail to none",
        "files not scanned yet",
        "shards none",
        f"by {getpass.getuser()} (stt batch create)",
        "scanned not yet",
        "ended not yet",
    ):
        assert row in shown


def test_show_counts_dispatched_and_active_shards(
    stt_on_database: Stt, database: Database, tmp_path: Path
) -> None:
    for name in "abcd":
        write_tone(tmp_path / "in" / f"{name}.wav", 0.1)
    batch, _, keys = scanned(database, tmp_path / "in")
    with database.begin() as connection:
        ids = [shard.id for shard in shards.ready(connection, batch.id, 3)]
        token = leases.dispatch(connection, shards_table, ids)
    claim = ClaimRequest(keys[:1], "transcribe", "run-1", token=token)
    with ShardClaims(database, claim, lease_seconds=60, max_attempts=1):
        shown = stt_on_database("batch", "show", batch.id).shown
    assert "shards 4 transcribe (2 dispatched, 1 in progress)" in shown


@pytest.fixture
def failed_files(database: Database, tmp_path: Path) -> int:
    """A batch of six recordings in two folders, of which five failed under two classes."""
    for folder in ("월요일", "화요일"):
        for number in range(3):
            write_tone(tmp_path / "in" / folder / f"회의 {number}.wav", 0.1)
    batch, _, _ = scanned(database, tmp_path / "in")
    for file_id in range(1, 6):
        Rows(database).fail(
            tables.audio_files.c.id == file_id,
            error_class="download" if file_id % 2 == 0 else "model",
            error=f"회의 {(file_id - 1) % 3}.wav could not be fetched: try again.",
        )
    return batch.id


def test_failures_are_listed_with_their_errors(stt_on_database: Stt, failed_files: int) -> None:
    ended = stt_on_database("batch", "failures", failed_files)
    assert (ended.code, ended.err) == (0, "")
    rows = [line.split() for line in ended.out.splitlines()[2:]]
    assert [row[:4] for row in rows] == [
        ["download", "3", "월요일/회의", "1.wav"],
        ["download", "3", "화요일/회의", "0.wav"],
        ["model", "3", "월요일/회의", "0.wav"],
        ["model", "3", "월요일/회의", "2.wav"],
        ["model", "3", "화요일/회의", "1.wav"],
    ]
    # the file name is not repeated in the error
    assert all(row[4:] == ["could", "not", "be", "fetched:", "try", "again."] for row in rows)


def test_failures_page_by_page(stt_on_database: Stt, failed_files: int) -> None:
    """The last file of a page may be retried before the next page is read."""
    whole = [line.split() for line in stt_on_database("batch", "failures", failed_files).out.splitlines()[2:]]
    pages = [stt_on_database("batch", "failures", failed_files, "--limit", "2")]
    stt_on_database("batch", "retry", failed_files, "--class", "download")
    while pages[-1].err:
        pages.append(_next_page(stt_on_database, pages[-1]))
    found = [[line.split() for line in page.out.splitlines()[2:]] for page in pages]
    assert found == [whole[:2], whole[2:4], whole[4:]]


def test_failures_of_a_class_page_by_page(stt_on_database: Stt, failed_files: int) -> None:
    first = stt_on_database("batch", "failures", failed_files, "--class", "model", "--limit", "2")
    second = _next_page(stt_on_database, first)
    assert [len(page.out.splitlines()[2:]) for page in (first, second)] == [2, 1]
    assert "download" not in first.out + second.out
    assert second.err == ""
    stt_on_database("batch", "retry", failed_files)
    assert (
        _next_page(stt_on_database, first).err
        == f"Batch {failed_files} has no more failed files of class model.\n"
    )


def test_failures_as_json(stt_on_database: Stt, failed_files: int, tmp_path: Path) -> None:
    ended = stt_on_database("batch", "failures", failed_files, "--class", "download", "--json", "--limit", 1)
    assert (ended.code, ended.err) == (0, "")
    (file,) = map(json.loads, ended.out.splitlines())
    assert file["path"] == "월요일/회의 1.wav"
    assert file["uri"] == (tmp_path / "in" / "월요일" / "회의 1.wav").as_uri()
    assert (file["error_class"], file["attempts"]) == ("download", 3)
    assert file["error"] == "회의 1.wav could not be fetched: try again."
    after = f"download:{file['id']}"
    rest = stt_on_database("batch", "failures", failed_files, "--json", "--after", after).out.splitlines()
    assert [json.loads(line)["error_class"] for line in rest] == ["download", "model", "model", "model"]


def test_failures_of_a_batch_without_any(stt_on_database: Stt, failed_files: int) -> None:
    ended = stt_on_database("batch", "failures", failed_files, "--class", "llm")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == f"Batch {failed_files} has no failed files of class llm.\n"


def test_files_whose_minutes_were_not_delivered(
    stt_on_database: Stt, database: Database, failed_files: int
) -> None:
    rows, error = Rows(database), "The mail server refused kim@example.com."
    rows.change(
        tables.audio_files, tables.audio_files.c.id == 6, status="success", error_class="email", error=error
    )
    rows.change(tables.shards, undelivered=1)
    for command in (("batch", "failures"), ("files",)):
        ended = stt_on_database(*command, failed_files, "--class", "email", "--json")
        (file,) = map(json.loads, ended.out.splitlines())
        assert (file["id"], file["error_class"], file["error"]) == (6, "email", error)
    assert (
        f"stt batch failures {failed_files} --class email"
        in stt_on_database("batch", "progress", failed_files).shown
    )


@pytest.mark.parametrize("after", ["7", "download:", "download:x", ":7"])
def test_failures_reject_an_invalid_place(stt_on_database: Stt, failed_files: int, after: str) -> None:
    ended = stt_on_database("batch", "failures", failed_files, "--after", after)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(
        "--after needs CLASS:ID as printed at the end of a page, such as download:123"
    )


def test_review_shows_the_worst_first_and_why(
    stt_on_database: Stt, database: Database, ended_batch: int
) -> None:
    Rows(database).change(
        tables.transcriptions,
        tables.transcriptions.c.duration > 2.5,
        tables.transcriptions.c.batch_id == ended_batch,
        quality=0.4,
        suspect_segments=2,
        speech_seconds=60,
        detected_language="ja",
        detected_language_probability=0.9,
    )
    worst, *_, other = stt_on_database("batch", "review", ended_batch).out.splitlines()[2:]
    assert worst.split()[0] == "0.40"
    assert "화요일" in worst
    assert other.split()[0] == "0.90"
    assert other.split()[-1] == "none"
    (only,) = stt_on_database("batch", "review", ended_batch, "--limit", 1, "--json").out.splitlines()
    found = json.loads(only)
    assert (found["path"], found["quality"], found["suspect_segments"]) == ("화요일/회의 [1].wav", 0.4, 2)
    assert found["quality_notes"][0] == "low confidence (0.40 of 1)"
    assert found["quality_notes"][-1] == "ja was detected (0.90 of 1) instead of ko"
    assert (found["language"], found["detected_language"]) == ("ko", "ja")
    assert "Batch 77 does not exist" in stt_on_database("batch", "review", 77).err
    assert stt_on_database("batch", "create", Path(), "--name", "new").code == 0
    empty = stt_on_database("batch", "review", ended_batch + 1)
    assert empty.err == f"Batch {ended_batch + 1} has no transcript with speech yet.\n"
