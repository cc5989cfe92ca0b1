"""`stt batch progress` on a real database, once and as a live bar."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from stt_pipeline.batches.execution.dispatch import HEARTBEAT
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.cli.batch.formatting import percent, rate
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batch_stats, heartbeats
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker, scanned, write_tone
from stt_pipeline_tests.cli.conftest import STALE_DISPATCHER, Stt
from stt_pipeline_tests.cli.processed_batches import process
from stt_pipeline_tests.cli.terminals import Terminal
from stt_pipeline_tests.rows import Rows


@pytest.mark.slow
def test_progress_of_an_ended_batch(stt_on_database: Stt, ended_batch: int) -> None:
    for watch in ((), ("--watch",)):
        ended = stt_on_database("batch", "progress", ended_batch, *watch)
        assert ended.code == 0
        for row in (
            f"batch {ended_batch} [월간]",
            "status completed",
            "files 4",
            "completed 2",
            "failed 2 (unreadable 2)",
            "not done 0",
            "done 100.0 %",
            "audio done 0.00 h",
            "recently",
            "s on average",
            "(seconds of work per second of audio)",
            "ended 20",
        ):
            assert row in ended.shown
        assert "dispatcher" not in ended.shown
        bad, empty = ended.err.splitlines()
        assert bad.startswith("[b]ad.mp3: cannot be decoded as audio")
        assert empty.startswith("empty.wav: is empty (0 bytes)")


def test_progress_prints_some_failures_and_the_command_for_the_others(
    stt_on_database: Stt, database: Database, ended_batch: int
) -> None:
    Rows(database).change(tables.shards, tables.shards.c.number == 0, failed=tables.shards.c.failed + 1000)
    ended = stt_on_database("batch", "progress", ended_batch)
    assert ended.err.splitlines()[2:] == [f"... and 1,000 more: stt batch failures {ended_batch}"]


def test_progress_as_json_prints_only_json(stt_on_database: Stt, ended_batch: int) -> None:
    ended = stt_on_database("batch", "progress", ended_batch, "--json", "--watch")
    assert (ended.code, ended.err) == (0, "")
    figures = json.loads(ended.out)
    assert figures["status"] == "completed"
    assert figures["completed"] + figures["failed"] + figures["pending"] == figures["total_files"] == 4
    assert figures["failures_by_class"] == {"unreadable": 2}
    assert figures["audio_hours_done"] == pytest.approx(5 / 3600, rel=0.01)
    assert figures["created_at"] < figures["completed_at"]
    assert "T" in figures["created_at"]


@pytest.mark.slow
def test_progress_of_an_active_batch_estimates_its_end(
    stt_on_database: Stt, database: Database, tmp_path: Path
) -> None:
    for number in range(61):
        write_tone(tmp_path / "in" / f"{number}.wav", 0.1)
    batch, _, _ = scanned(database, tmp_path / "in")
    shown = stt_on_database("batch", "progress", batch.id).shown
    assert "per minute" not in shown and "estimated" not in shown
    Rows(database).change(tables.shards, tables.shards.c.number == 0, completed=1)
    with database.begin() as connection:
        batch_stats.add_throughput(connection, batch.id, files=1, audio_seconds=0.1)
    shown = stt_on_database("batch", "progress", batch.id).shown
    for row in ("completed 1", "pending 60", "done 1.6 %", "files per minute 1.0 recently", "in 1 h 0 min"):
        assert row in shown
    figures = json.loads(stt_on_database("batch", "progress", batch.id, "--json").out)
    left = datetime.fromisoformat(figures["estimated_completion"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(minutes=60)
    assert figures["files_per_minute"] == 1.0
    lifecycle.pause(database, batch.id)
    assert "estimated" not in stt_on_database("batch", "progress", batch.id).shown


def test_progress_of_a_batch_that_failed_is_an_exit_code(
    stt_on_database: Stt, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "nothing").mkdir()
    batch, _, _ = scanned(database, tmp_path / "nothing")
    ended = stt_on_database("batch", "progress", batch.id, "--watch")
    assert ended.code == 1
    assert "status failed" in ended.shown
    assert "check the source and the pattern" in ended.shown


def test_progress_reports_a_stale_dispatcher(
    stt_on_database: Stt, database: Database, tmp_path: Path
) -> None:
    batch, _, _ = scanned(database, write_tone(tmp_path / "in" / "a.wav").parent)
    ended = stt_on_database("batch", "progress", batch.id)
    assert (ended.code, ended.err) == (0, STALE_DISPATCHER)
    assert "dispatcher has never ticked" in ended.shown
    assert json.loads(stt_on_database("batch", "progress", batch.id, "--json").out)["pending"] == 1
    with database.begin() as connection:
        heartbeats.beat(connection, HEARTBEAT)
    ended = stt_on_database("batch", "progress", batch.id)
    assert ended.err == ""
    assert "dispatcher ticked 20" in ended.shown
    Rows(database).change(tables.heartbeats, beat_at=datetime.now(UTC) - timedelta(minutes=5))
    assert stt_on_database("batch", "progress", batch.id).err.startswith(
        "The dispatcher has not ticked since 20"
    )


@pytest.mark.slow
def test_a_live_bar_stays_while_the_batch_is_paused_and_ends_with_it(
    stt_on_database: Stt, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp3").write_text("this is text")
    batch, _, keys = scanned(database, write_tone(tmp_path / "in" / "b.wav").parent)
    with Terminal("batch", "progress", batch.id, "--watch") as terminal:
        terminal.wait_for("0 of 2 files")
        assert "processing" in terminal.shown
        lifecycle.pause(database, batch.id)
        terminal.wait_for(f"0 of 2 files · `stt batch resume {batch.id}` continues it")
        assert "paused" in terminal.shown
        lifecycle.resume(database, batch.id)
        process(database, batch.id, keys, CountingTranscriber(), OneSpeaker(), tmp_path / "outbox")
        assert terminal.end() == 0
        assert "2 of 2 files · 1 failed · 2.0 files/min" in terminal.shown
        assert "status completed" in terminal.shown


@pytest.mark.slow
def test_a_live_bar_is_left_with_ctrl_c(stt_on_database: Stt, database: Database, tmp_path: Path) -> None:
    batch, _, _ = scanned(database, write_tone(tmp_path / "in" / "a.wav").parent)
    with Terminal("batch", "progress", batch.id, "--watch") as terminal:
        terminal.wait_for("0 of 1 files")
        terminal.interrupt()
        assert terminal.end() == 130
        assert "Traceback" not in terminal.shown


@pytest.mark.slow
def test_a_lost_server_prints_no_stack_trace(
    stt_on_database: Stt, database: Database, postgres_url: str, tmp_path: Path
) -> None:
    """The command loses its database, as in a restart of the server."""
    batch, _, _ = scanned(database, write_tone(tmp_path / "in" / "a.wav").parent)
    name = make_url(database.url).database

    def cut_off() -> None:
        engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
                {"name": name},
            )
        engine.dispose()

    cut = threading.Timer(1.0, cut_off)
    cut.start()
    ended = stt_on_database("batch", "progress", batch.id, "--watch")
    cut.join()
    assert ended.code == 1
    assert "Postgres: " in ended.err
    assert "Traceback" not in ended.err


def test_percentages_and_rates() -> None:
    assert [percent(99.99), percent(100.0), percent(0.05)] == ["99.9 %", "100.0 %", "0.0 %"]
    assert [rate(0.16), rate(9.96), rate(12_345.6)] == ["0.2", "10.0", "12,346"]
