"""`stt batch pause|resume|retry|cancel|delete` on a real database, with and without a terminal."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
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
    """Returns the status of the batch."""

    def read() -> str:
        with database.begin() as connection:
            return batches.get(connection, batch_id).status

    return read


def _fail(database: Database, batch_id: int, classes: dict[str, str]) -> None:
    """Mark files as failed, given by name with an error class each, and end their shards."""
    rows = Rows(database)
    for name, error_class in classes.items():
        chosen = (tables.audio_files.c.batch_id == batch_id, tables.audio_files.c.uri.endswith(f"/{name}"))
        rows.fail(*chosen, error_class=error_class)
        its_shard = select(tables.audio_files.c.shard_id).where(*chosen).scalar_subquery()
        rows.change(tables.shards, tables.shards.c.id == its_shard, stage="done")


def _refused(ended: Ended, said: str) -> None:
    assert (ended.code, ended.out) == (2, "")
    assert plain(ended.err) == said


def test_pause_and_resume_print_the_next_step(
    stt_on_database: Stt, batch_id: int, status: Callable[[], str]
) -> None:
    ended = stt_on_database("batch", "pause", batch_id)
    assert (ended.code, ended.err, status()) == (0, "", "paused")
    assert ended.out == (
        f"Batch {batch_id} is paused: active files are finished; `stt batch resume {batch_id}` continues it.\n"
    )
    _refused(stt_on_database("batch", "pause", batch_id), f"Batch {batch_id} is paused already.")
    ended = stt_on_database("batch", "resume", batch_id)
    assert (ended.code, ended.err, status()) == (0, "", "processing")
    assert ended.out == (
        f"Batch {batch_id} is processing again. Follow it with: stt batch progress {batch_id} --watch\n"
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
        f"Batch {batch_id} is cancelled: its runs are being terminated, and finished files keep their results.\n"
        f"Delete it with: stt batch delete {batch_id}\n"
    )
    ended = stt_on_database("batch", "delete", batch_id, "-y")
    assert (ended.code, ended.err, status()) == (0, "", "deleting")
    assert ended.out == (
        f"Batch {batch_id} is being deleted. `stt batch list` shows it until all of it is deleted.\n"
    )
    for command in (("pause",), ("retry",), ("delete", "--yes")):
        _refused(stt_on_database("batch", *command, batch_id), f"Batch {batch_id} is being deleted.")


@pytest.mark.parametrize("command", ["cancel", "delete"])
def test_without_a_terminal_yes_is_required(
    stt_on_database: Stt, database: Database, batch_id: int, status: Callable[[], str], command: str
) -> None:
    if command == "delete":
        lifecycle.cancel(database, batch_id)
    before = status()
    ended = stt_on_database("batch", command, batch_id)
    assert (ended.code, ended.out, status()) == (2, "", before)
    assert ended.err.startswith(f"Batch {batch_id} ([월간]) is {before}. Its r")
    assert ended.err.endswith("There is no terminal for the confirmation: add --yes to confirm.\n")


@pytest.mark.slow
def test_on_a_terminal_cancel_and_delete_ask(
    stt_on_database: Stt, batch_id: int, status: Callable[[], str], tmp_path: Path
) -> None:
    with Terminal("batch", "cancel", batch_id) as terminal:
        terminal.wait_for("[y/N]:")
        assert "Finished files keep their results; the other files cannot be continued." in terminal.shown
        terminal.type("\n")
        assert (terminal.end(), status()) == (1, "processing")
        assert terminal.shown.endswith("Nothing was changed.")
    with Terminal("batch", "cancel", batch_id) as terminal:
        terminal.wait_for(f"Cancel batch {batch_id}? [y/N]:")
        terminal.type("y\n")
        assert (terminal.end(), status()) == (0, "cancelled")
    with Terminal("batch", "delete", batch_id) as terminal:
        terminal.wait_for(f"Delete batch {batch_id}? [y/N]:")
        for words in ("transcripts, minutes and Parquet files", "are deleted permanently", "The recordings"):
            assert words in terminal.shown
        terminal.interrupt()
        assert (terminal.end(), status()) == (1, "cancelled")
        assert "Traceback" not in terminal.shown


def test_a_change_that_is_not_allowed_needs_no_confirmation(stt_on_database: Stt, batch_id: int) -> None:
    """Without --yes and without a terminal, the error is the reason why the change is not allowed."""
    ended = stt_on_database("batch", "delete", batch_id)
    assert (ended.code, ended.out) == (2, "")
    assert "its status must be cancelled, completed or failed" in ended.err


def test_retry_starts_all_failed_files_or_those_of_a_class(
    stt_on_database: Stt, database: Database, batch_id: int
) -> None:
    _fail(database, batch_id, {"a.wav": "download", "b.wav": "model", "c.wav": "model"})
    ended = stt_on_database("batch", "retry", batch_id, "--class", "download")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"1 file starts again. Follow it with: stt batch progress {batch_id} --watch\n"
    _refused(
        stt_on_database("batch", "retry", batch_id, "--class", "download"),
        f"Batch {batch_id} has no failed file of class download to retry.",
    )
    lifecycle.pause(database, batch_id)
    ended = stt_on_database("batch", "retry", batch_id)
    assert ended.out == f"2 files start when `stt batch resume {batch_id}` continues the batch.\n"
    with database.begin() as connection:
        assert files.failed(connection, batch_id, 10) == []


def test_retry_respects_the_size_limit(
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


def test_retry_lists_the_error_classes(stt_on_database: Stt, batch_id: int) -> None:
    ended = stt_on_database("batch", "retry", batch_id, "--class", "broken")
    assert (ended.code, ended.out) == (2, "")
    assert "'broken' is not one of 'unreadable', 'too_large'," in plain(ended.err)


@pytest.mark.parametrize("command", ["pause", "cancel", "retry"])
def test_a_stale_dispatcher_is_reported(
    stt_on_database: Stt, database: Database, batch_id: int, command: str
) -> None:
    _fail(database, batch_id, {"a.wav": "download"})
    Rows(database).change(tables.heartbeats, beat_at=datetime.now(UTC) - timedelta(minutes=5))
    ended = stt_on_database("batch", command, batch_id, *(["--yes"] if command == "cancel" else []))
    assert ended.code == 0
    assert ended.err.startswith("The dispatcher has not ticked since 20")
