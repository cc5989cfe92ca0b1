"""`stt batch pause|resume|retry|cancel|delete` on a real database, with and without a terminal."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select

from stt_pipeline.batches.execution.dispatch import HEARTBEAT
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.queue import batches, heartbeats
from stt_pipeline_tests.batches.recordings import scanned, write_tone
from stt_pipeline_tests.cli.conftest import Ended, Stt, plain
from stt_pipeline_tests.cli.terminals import Terminal
from stt_pipeline_tests.rows import Rows


@pytest.fixture
def batch_id(database: Database, tmp_path: Path) -> int:
    """A scanned batch of three recordings, and a dispatcher that has just ticked."""
    for name in "abc":
        write_tone(tmp_path / "in" / f"{name}.wav", 0.1)
    batch, _, _ = scanned(database, tmp_path / "in", name="[월간]")
    with database.begin() as connection:
        heartbeats.beat(connection, HEARTBEAT)
    return batch.id


@pytest.fixture
def status(database: Database, batch_id: int) -> Callable[[], str]:
    """What the batch is."""

    def read() -> str:
        with database.begin() as connection:
            return batches.get(connection, batch_id).status

    return read


def _fail(database: Database, batch_id: int, classes: dict[str, str]) -> None:
    """Fail files, given by name with an error class each, and end their shards."""
    rows = Rows(database)
    for name, error_class in classes.items():
        chosen = (tables.audio_files.c.batch_id == batch_id, tables.audio_files.c.uri.endswith(f"/{name}"))
        rows.fail(*chosen, error_class=error_class)
        its_shard = select(tables.audio_files.c.shard_id).where(*chosen).scalar_subquery()
        rows.change(tables.shards, tables.shards.c.id == its_shard, stage="done")


def _refused(ended: Ended, said: str) -> None:
    assert (ended.code, ended.out) == (2, "")
    assert plain(ended.err) == said


def test_pause_and_resume_say_what_happens_next(
    stt_on_database: Stt, batch_id: int, status: Callable[[], str]
) -> None:
    ended = stt_on_database("batch", "pause", batch_id)
    assert (ended.code, ended.err, status()) == (0, "", "paused")
    assert ended.out == (
        f"Batch {batch_id} is paused: what has begun is finished; `stt batch resume {batch_id}` goes on.\n"
    )
    _refused(stt_on_database("batch", "pause", batch_id), f"Batch {batch_id} is paused already.")
    ended = stt_on_database("batch", "resume", batch_id)
    assert (ended.code, ended.err, status()) == (0, "", "processing")
    assert ended.out == (
        f"Batch {batch_id} is processing again. Watch it with: stt batch progress {batch_id} --watch\n"
    )
    _refused(
        stt_on_database("batch", "resume", batch_id),
        f"Batch {batch_id} is processing and cannot be resumed: its status must be paused.",
    )


def test_cancel_and_delete_with_yes_do_not_ask(
    stt_on_database: Stt, batch_id: int, status: Callable[[], str]
) -> None:
    _refused(
        stt_on_database("batch", "delete", batch_id, "--yes"),
        f"Batch {batch_id} is processing and cannot be deleted: its status must be cancelled, completed or failed.",
    )
    ended = stt_on_database("batch", "cancel", batch_id, "--yes")
    assert (ended.code, ended.err, status()) == (0, "", "cancelled")
    assert ended.out == (
        f"Batch {batch_id} is cancelled: its runs are being ended, and what is finished stays.\n"
        f"Remove it with: stt batch delete {batch_id}\n"
    )
    ended = stt_on_database("batch", "delete", batch_id, "-y")
    assert (ended.code, ended.err, status()) == (0, "", "deleting")
    assert ended.out == (
        f"Batch {batch_id} is being deleted. It leaves `stt batch list` when all of it is gone.\n"
    )
    for command in (("pause",), ("retry",), ("delete", "--yes")):
        _refused(stt_on_database("batch", *command, batch_id), f"Batch {batch_id} is being deleted.")


@pytest.mark.parametrize("command", ["cancel", "delete"])
def test_without_a_terminal_yes_must_be_said(
    stt_on_database: Stt, database: Database, batch_id: int, status: Callable[[], str], command: str
) -> None:
    if command == "delete":
        lifecycle.cancel(database, batch_id)
    before = status()
    ended = stt_on_database("batch", command, batch_id)
    assert (ended.code, ended.out, status()) == (2, "", before)
    assert ended.err.startswith(f"Batch {batch_id} ([월간]) is {before}. Its r")
    assert ended.err.endswith("There is no terminal to ask on: add --yes if that is meant.\n")


def test_on_a_terminal_cancel_and_delete_ask(
    stt_on_database: Stt, batch_id: int, status: Callable[[], str], tmp_path: Path
) -> None:
    with Terminal("batch", "cancel", batch_id) as terminal:
        terminal.wait_for("[y/N]:")
        assert "what is finished stays, and the rest cannot be taken up again." in terminal.shown
        terminal.type("\n")
        assert (terminal.end(), status()) == (1, "processing")
        assert terminal.shown.endswith("Nothing was changed.")
    with Terminal("batch", "cancel", batch_id) as terminal:
        terminal.wait_for(f"Cancel batch {batch_id}? [y/N]:")
        terminal.type("y\n")
        assert (terminal.end(), status()) == (0, "cancelled")
    with Terminal("batch", "delete", batch_id) as terminal:
        terminal.wait_for(f"Delete batch {batch_id}? [y/N]:")
        for kept_or_gone in ("transcripts, minutes and Parquet files", "go away for good", "The recordings"):
            assert kept_or_gone in terminal.shown
        terminal.interrupt()
        assert (terminal.end(), status()) == (1, "cancelled")
        assert "Traceback" not in terminal.shown


def test_nobody_is_asked_about_what_is_not_allowed(stt_on_database: Stt, batch_id: int) -> None:
    """Also without --yes and without a terminal, the answer is why it cannot be done."""
    ended = stt_on_database("batch", "delete", batch_id)
    assert (ended.code, ended.out) == (2, "")
    assert "its status must be cancelled, completed or failed" in ended.err


def test_retry_starts_all_failed_files_or_those_of_a_class(
    stt_on_database: Stt, database: Database, batch_id: int
) -> None:
    _fail(database, batch_id, {"a.wav": "download", "b.wav": "model", "c.wav": "model"})
    ended = stt_on_database("batch", "retry", batch_id, "--class", "download")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"1 file starts again. Watch it with: stt batch progress {batch_id} --watch\n"
    _refused(
        stt_on_database("batch", "retry", batch_id, "--class", "download"),
        f"Batch {batch_id} has no failed file of class download to retry.",
    )
    lifecycle.pause(database, batch_id)
    ended = stt_on_database("batch", "retry", batch_id)
    assert ended.out == f"2 files start when `stt batch resume {batch_id}` lets the batch go on.\n"
    with database.begin() as connection:
        assert files.failed(connection, batch_id, 10) == []


def test_retry_knows_the_limit_of_the_settings(
    stt_on_database: Stt, database: Database, batch_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail(database, batch_id, {"a.wav": "too_large"})
    monkeypatch.setenv("STT_MAX_FILE_BYTES", "100")
    _refused(
        stt_on_database("batch", "retry", batch_id),
        f"Batch {batch_id} has no failed file within STT_MAX_FILE_BYTES to retry.",
    )
    monkeypatch.delenv("STT_MAX_FILE_BYTES")
    assert stt_on_database("batch", "retry", batch_id).out.startswith("1 file starts again.")


def test_retry_names_the_classes_there_are(stt_on_database: Stt, batch_id: int) -> None:
    ended = stt_on_database("batch", "retry", batch_id, "--class", "broken")
    assert (ended.code, ended.out) == (2, "")
    assert "'broken' is not one of 'unreadable', 'too_large'," in plain(ended.err)


@pytest.mark.parametrize("command", ["pause", "cancel", "retry"])
def test_a_silent_dispatcher_is_told(
    stt_on_database: Stt, database: Database, batch_id: int, command: str
) -> None:
    _fail(database, batch_id, {"a.wav": "download"})
    Rows(database).change(tables.heartbeats, beat_at=datetime.now(timezone.utc) - timedelta(minutes=5))
    ended = stt_on_database("batch", command, batch_id, *(["--yes"] if command == "cancel" else []))
    assert ended.code == 0
    assert ended.err.startswith("The dispatcher has not ticked since 20")
