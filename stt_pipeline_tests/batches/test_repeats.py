"""The same recording again: the file says what it repeats, and one person gets its minutes once."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import select
from upath import UPath

from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.maintenance.deletion import delete_batch
from stt_pipeline.batches.queries.file_lists import list_files
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.batches.stages.publish import notify, write_minutes
from stt_pipeline.errors import EmailError
from stt_pipeline.minutes.summarizer import FixedSummarizer
from stt_pipeline.notify.events import BatchEnded, MinutesReady
from stt_pipeline.notify.notifier import RecordingNotifier
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.results import emails
from stt_pipeline.store.results.emails import Delivery
from stt_pipeline_tests.batches.recordings import CountingTranscriber, report, scanned, write_tone
from stt_pipeline_tests.batches.stage_runs import claim_shards, publish, statuses_of, transcribe
from stt_pipeline_tests.rows import Rows

KIM, LEE = "kim@example.com", "lee@example.com"


def _batch(
    database: Database,
    folder: Path,
    notifier: RecordingNotifier,
    recipients: Sequence[str] = (KIM,),
    **request: object,
) -> int:
    """Process a batch of a folder up to its report, and return its id."""
    batch, _, keys = scanned(database, folder, notify_emails=list(recipients), **request)
    transcribe(database, keys, CountingTranscriber())
    publish(database, keys, notifier)
    report(database, batch.id, notifier)
    assert set(statuses_of(database, batch.id).values()) == {"success"}
    return batch.id


def _minutes(notifier: RecordingNotifier) -> list[tuple[str, str]]:
    """Return (recipient, file name) of the delivered minutes, and forget all deliveries."""
    found = [
        (str(recipient.address), event.name)
        for event, recipient in notifier.deliveries
        if isinstance(event, MinutesReady)
    ]
    notifier.deliveries.clear()
    return sorted(found)


def _log(database: Database) -> list[tuple[str, str]]:
    chosen = select(tables.email_logs.c.recipient_email, tables.email_logs.c.status)
    with database.begin() as connection:
        rows = connection.execute(
            chosen.where(tables.email_logs.c.kind == "minutes").order_by(tables.email_logs.c.id)
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tone(tmp_path / "in" / "a.wav")
    return tmp_path / "in"


def test_a_copy_in_the_same_batch_is_mailed_once(database: Database, folder: Path) -> None:
    shutil.copy(folder / "a.wav", folder / "b, renamed.wav")
    notifier = RecordingNotifier()
    batch = _batch(database, folder, notifier)
    assert _minutes(notifier) == [(KIM, "a.wav")]
    first, second = list_files(database, batch, 10)
    assert first.repeats is None
    assert second.repeats and (second.repeats.id, second.repeats.batch_id) == (first.file.id, batch)


def test_a_second_batch_over_the_folder_mails_only_what_is_new(database: Database, folder: Path) -> None:
    notifier = RecordingNotifier()
    first = _batch(database, folder, notifier)
    notifier.deliveries.clear()
    write_tone(folder / "new.wav", 1.5)
    second = _batch(database, folder, notifier, [KIM, LEE])
    assert _minutes(notifier) == [(KIM, "new.wav"), (LEE, "a.wav"), (LEE, "new.wav")]
    assert _log(database)[:2] == [(KIM, "sent"), (KIM, "repeated")]
    repeated, new = list_files(database, second, 10)
    assert repeated.repeats and repeated.repeats.batch_id == first and new.repeats is None


def test_mail_again_sends_repeated_minutes_and_they_count_for_later_batches(
    database: Database, folder: Path
) -> None:
    notifier = RecordingNotifier()
    again = {"options": {"mail_again": True}}
    for expected in ([(KIM, "a.wav")], [(KIM, "a.wav")]):
        _batch(database, folder, notifier, **again)
        assert _minutes(notifier) == expected
    _batch(database, folder, notifier)
    assert _minutes(notifier) == []


def test_the_reason_is_shown_at_the_shard(database: Database, folder: Path) -> None:
    notifier = RecordingNotifier()
    _batch(database, folder, notifier)
    _, _, keys = scanned(database, folder, notify_emails=[KIM])
    transcribe(database, keys, CountingTranscriber())
    with claim_shards(database, keys, stage="publish", last_step=False) as work:
        write_minutes(work, lambda options: FixedSummarizer("Title"))
        notify(work, lambda recipient: notifier)
        assert work.shards[0].notes == [f"a.wav: {KIM} got the minutes of the same recording before."]


def test_minutes_that_could_not_be_sent_are_no_reason_to_skip_a_copy(
    database: Database, folder: Path
) -> None:
    notifier = RecordingNotifier()
    notifier.error = EmailError("the server refuses")
    batch, _, keys = scanned(database, folder, notify_emails=[KIM])
    transcribe(database, keys, CountingTranscriber())
    publish(database, keys, notifier)
    notifier.error = None
    _batch(database, folder, notifier)
    assert _minutes(notifier) == [(KIM, "a.wav")]
    publish(database, keys, notifier)  # the next try of the first batch
    assert _minutes(notifier) == []
    assert statuses_of(database, batch.id) == {"a.wav": "success"}


def test_changed_content_under_the_same_name_is_mailed(database: Database, folder: Path) -> None:
    notifier = RecordingNotifier()
    _batch(database, folder, notifier)
    notifier.deliveries.clear()
    write_tone(folder / "a.wav", 2.0)
    _batch(database, folder, notifier)
    assert _minutes(notifier) == [(KIM, "a.wav")]


def test_a_new_transcript_of_the_same_file_is_not_mailed_again(database: Database, folder: Path) -> None:
    notifier = RecordingNotifier()
    _, _, keys = scanned(database, folder, notify_emails=[KIM])
    for _ in range(2):
        transcribe(database, keys, CountingTranscriber(), reprocess=True)
        publish(database, keys, notifier, reprocess=True)
    assert _minutes(notifier) == [(KIM, "a.wav")]


def test_a_deleted_batch_does_not_count(database: Database, folder: Path) -> None:
    notifier = RecordingNotifier()
    first = _batch(database, folder, notifier)
    notifier.deliveries.clear()
    lifecycle.delete(database, first)
    with claimed_batch(database, first, run_id="one", token=None, lease_seconds=60, to_delete=True) as claim:
        delete_batch(claim, delete_records=lambda batch_id: True, data_root=UPath(folder.parent / "data"))
    _batch(database, folder, notifier)
    assert _minutes(notifier) == [(KIM, "a.wav")]


def test_files_of_an_older_version_have_no_hash_and_are_mailed(database: Database, folder: Path) -> None:
    notifier = RecordingNotifier()
    _batch(database, folder, notifier)
    notifier.deliveries.clear()
    Rows(database).change(tables.audio_files, content_sha256=None)
    Rows(database).change(tables.email_logs, content_sha256=None)
    _batch(database, folder, notifier)
    assert _minutes(notifier) == [(KIM, "a.wav")]


def test_only_one_of_concurrent_runs_reserves_a_content(database: Database, folder: Path) -> None:
    rows = Rows(database)
    together = Barrier(8)

    def reserve(number: int) -> int | None:
        batch = rows.batch()
        file = rows.audio_file(rows.shard(batch, number=number))
        minutes = rows.minutes(rows.transcription(file))
        delivery = Delivery(batch, KIM, "minutes", minutes, file, content_sha256=b"\1" * 32)
        together.wait()
        with database.begin() as connection:
            return emails.begin(connection, delivery)

    with ThreadPoolExecutor(8) as pool:
        reserved = list(pool.map(reserve, range(8)))
    assert sum(log_id is not None for log_id in reserved) == 1
    assert sorted(status for _, status in _log(database)) == ["repeated"] * 7 + ["sending"]


def test_a_digest_counts_what_the_recipient_got_before(database: Database, tmp_path: Path) -> None:
    for number in range(11):
        write_tone(tmp_path / "in" / f"{number:02}.wav", 1 + number / 10)
    write_tone(tmp_path / "one" / "single.wav", 1.3)  # the content of 03.wav
    notifier = RecordingNotifier()
    _batch(database, tmp_path / "one", notifier)
    assert _minutes(notifier) == [(KIM, "single.wav")]
    _batch(database, tmp_path / "in", notifier)
    ((event, _),) = notifier.deliveries
    assert isinstance(event, BatchEnded) and event.digest
    assert [entry.name for entry in event.digest.entries] == [f"{n:02}.wav" for n in range(11) if n != 3]
    assert (event.digest.repeated, event.digest.others) == (1, 0)
    notifier.deliveries.clear()
    _batch(database, tmp_path / "one", notifier, [KIM, LEE])  # kim has it twice over, lee not yet
    assert _minutes(notifier) == [(LEE, "single.wav")]
    _batch(database, tmp_path / "in", notifier)  # a second batch over the folder
    ((event, _),) = notifier.deliveries
    assert isinstance(event, BatchEnded) and event.digest
    assert (event.digest.entries, event.digest.repeated, event.digest.others) == ((), 11, 0)
