"""Leases of shards: which run may process and write, and what happens when a run ends."""

import uuid
from pathlib import Path

import pytest
from sqlalchemy import text

from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.errors import (
    InvalidRequestError,
)
from stt_pipeline.mail.notifier import MailNotifier
from stt_pipeline.notify.notifier import Notifier
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import shards
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker, report, scanned, write_tone
from stt_pipeline_tests.batches.stage_runs import claim_shards, statuses_of, transcribe
from stt_pipeline_tests.rows import Rows


@pytest.fixture
def notifier(tmp_path: Path) -> Notifier:
    return MailNotifier("", tmp_path / "outbox", "stt@example.com")


def test_a_live_lease_refuses_other_runs_and_names_its_run(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    _, _, keys = scanned(database, tmp_path / "in")
    with (
        claim_shards(database, keys, run_id="first", last_step=False) as first,
        claim_shards(database, keys, run_id="second") as second,
    ):
        assert [shard.key for shard in first.shards] == keys
        assert (second.shards, second.refused) == ([], {keys[0]: "being worked by run first"})
    # between the steps of a run the lease goes on; after its last step it ends
    with claim_shards(database, keys, run_id="second") as second:
        assert second.refused
    with claim_shards(database, keys, run_id="first", last_step=True):
        pass
    with claim_shards(database, keys, run_id="second") as second:
        assert not second.refused


def test_a_run_that_lost_its_lease_writes_nothing(database: Database, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        write_tone(tmp_path / "in" / name)
    batch, _, keys = scanned(database, tmp_path / "in")
    with claim_shards(database, keys) as zombie:
        probe_files(zombie)
        lost = tables.shards.c.key == keys[0]
        Rows(database).change(tables.shards, lost, run_id="other", token=str(uuid.uuid4()))
        transcribe_files(zombie, lambda options: CountingTranscriber())
        find_speakers(zombie, lambda options: OneSpeaker())
    assert list(zombie.refused) == [keys[0]]
    assert statuses_of(database, batch.id) == {"a.wav": "pending", "b.wav": "transcribed"}
    with database.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM stt_transcriptions")) == 1
        assert (
            connection.scalar(text("SELECT run_id FROM stt_shards WHERE key = :key"), {"key": keys[0]})
            == "other"
        )


def test_a_user_may_start_a_run_on_a_finished_batch(
    database: Database, tmp_path: Path, notifier: Notifier
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    Rows(database).fail(error_class="internal")
    Rows(database).change(tables.shards, stage="done")
    report(database, batch.id, notifier)
    assert progress(database, batch.id).status == "failed"
    with claim_shards(database, keys, run_id="of a user", last_step=False):
        # while the run works, the batch has not ended
        assert progress(database, batch.id).status == "processing"
        with database.begin() as connection:
            assert shards.batches_without_open_shards(connection) == []
    transcribe(database, keys, CountingTranscriber(), run_id="of a user")
    assert statuses_of(database, batch.id) == {"a.wav": "transcribed"}


def test_a_cancelled_batch_cannot_be_claimed(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    Rows(database).change(tables.batches, status="cancelled")
    with claim_shards(database, keys) as work:
        assert work.refused == {keys[0]: f"batch {batch.id} is cancelled"}
    with (
        pytest.raises(InvalidRequestError, match="is cancelled"),
        claimed_batch(database, batch.id, run_id="r", token=None, lease_seconds=60),
    ):
        pass


def test_a_step_that_fails_after_its_files_is_repeated(database: Database, tmp_path: Path) -> None:
    """Its Parquet file may be missing, although every file has passed."""
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    with pytest.raises(OSError, match="disk full"), claim_shards(database, keys) as work:
        probe_files(work)
        transcribe_files(work, lambda options: CountingTranscriber())
        find_speakers(work, lambda options: OneSpeaker())
        raise OSError("disk full")
    with database.begin() as connection:
        assert connection.scalar(text("SELECT stage FROM stt_shards")) == "transcribe"
    assert "ended early" in (progress(database, batch.id).error or "")
    with claim_shards(database, keys) as work:
        find_speakers(work, lambda options: OneSpeaker())
    with database.begin() as connection:
        assert connection.scalar(text("SELECT stage FROM stt_shards")) == "publish"
    assert progress(database, batch.id).error is None
