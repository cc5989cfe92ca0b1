"""Runs every query of the store, through the code of the API, the command line and the sensors."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

from sqlalchemy import text
from upath import UPath

from stt_pipeline.batches.execution import dispatch
from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.ingest.objects import ingest_objects
from stt_pipeline.batches.maintenance.deletion import delete_batch
from stt_pipeline.batches.maintenance.retention import retire_batches, unknown_batches, unknown_shards
from stt_pipeline.batches.queries.export import dataset_rows, export_batch, export_transcription
from stt_pipeline.batches.queries.file_lists import FileCursor, list_files
from stt_pipeline.batches.queries.file_search import find_files
from stt_pipeline.batches.queries.progress import overview, overviews, progress
from stt_pipeline.batches.queries.results import (
    first_summaries,
    first_transcriptions,
    minutes_rows,
    transcript_rows,
)
from stt_pipeline.batches.queries.review import review, transcripts_of_shard
from stt_pipeline.batches.queries.search import search
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.batches.requests.backend_choice import FixedBackend
from stt_pipeline.batches.requests.batch_request import BatchChange
from stt_pipeline.batches.requests.create import remove_watch
from stt_pipeline.batches.requests.retry import process_retries, request_retry, retry
from stt_pipeline.batches.stages.publish import notify, write_minutes
from stt_pipeline.batches.stages.search_index import reindex
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.mail.notifier import MailNotifier
from stt_pipeline.minutes.model import Minutes
from stt_pipeline.parquet.datasets import Dataset
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files, watches
from stt_pipeline.store.manifest.files import FileStatus
from stt_pipeline.store.queue import batch_stats, batches, leases, runs, shards
from stt_pipeline.store.queue.batches import Filter
from stt_pipeline.store.results import digests, emails, staleness, summaries, transcriptions
from stt_pipeline.store.tables import shards as shards_table
from stt_pipeline_tests.batches.recordings import (
    MAX_BYTES,
    CountingTranscriber,
    OneSpeaker,
    report,
    scan,
    scanned,
    write_tone,
)
from stt_pipeline_tests.batches.watched import Keys, Watched
from stt_pipeline_tests.rows import Rows


class OneTopic:
    """A summarizer that returns the same minutes for all transcripts."""

    name = "one"
    concurrency = 1

    def summarize(self, transcript: Transcript) -> Minutes:
        return Minutes("회의", "보고서", ("보고서",), (), (), (), self.name)


def run_every_query(database: Database, *, at_work: Sequence[int], ended: int, folder: Path) -> None:
    """Read batches in every way, and take some of them through their whole lifecycle.

    Args:
        at_work: batches that are half done; the first one continues, the last one is cancelled and deleted.
        ended: a batch that ended long ago, which is deleted.
        folder: for the recordings of a new batch.
    """
    large = at_work[0]
    dispatch.lease_holders(database)
    dispatch.expire_leases(database, "no such run")
    for batch_id in at_work:
        _read(database, batch_id)
    _dispatch(database)
    _publish_some(database, large, MailNotifier("", folder / "outbox", "stt@example.com"))
    retry(database, large, max_file_bytes=MAX_BYTES, error_class="internal")
    request_retry(database, large, error_class="model")
    process_retries(database, max_file_bytes=MAX_BYTES, seconds=60)
    lifecycle.change(database, large, BatchChange(action="pause", priority="low"))
    dispatch.paused_batches(database)
    lifecycle.resume(database, large)
    _process_new_batch(database, folder)
    _poll_watches(database)
    _end(database, at_work[-1], ended, folder)


def _read(database: Database, batch_id: int) -> None:
    progress(database, batch_id)
    overviews(database, 20)
    overviews(database, 20, before=batch_id, filters=Filter(status="processing", name="a"))
    overview(database, batch_id)
    with database.begin() as connection:
        batches.count_by_status(connection)
        batch_stats.stages(connection, batch_id)
        batch_stats.latest(connection, "")
        batch_stats.sums_of_open_batches(connection)
        batch_stats.longest_wait(connection)
        emails.count_sent_since(connection, timedelta(hours=1))
        batch_stats.throughput_of(connection, batch_id)
        emails.sent_of_batch(connection, batch_id)
        emails.has_digest(connection, batch_id)
        digests.main_language(connection, batch_id)
        digests.without_speech(connection, batch_id, 3)
        for again in (False, True):
            digests.minutes_of_batch(connection, batch_id, "team@example.com", again=again)
        for page in (files.page(connection, batch_id), files.page(connection, batch_id, limit=100)):
            files.page(connection, batch_id, after=page[-1].id, limit=100)
        for error_class in (None, "model", "email"):
            for after in (None, ("download", 0)):
                files.failed(connection, batch_id, 50, error_class=error_class, after=after)
        file = next(files.of_batch(connection, batch_id))
        summaries.of_file(connection, file)
        stored = transcriptions.of_file(connection, file)
    if stored:
        export_transcription(database, stored.id, "md")
    for status in get_args(FileStatus):
        for place in (None, FileCursor("download" if status == "failed" else 3, file.id)):
            list_files(database, batch_id, 50, status=status, after=place)
    list_files(database, batch_id, 50)
    find_files(database, "9999.wav", batch_id=batch_id, limit=20)
    find_files(database, "absent", limit=20)
    for dataset in get_args(Dataset):
        # the first page sends the same statements as the others
        next(dataset_rows(database, batch_id, dataset))
    next(export_batch(database, batch_id, "txt").chunks)
    review(database, batch_id, 20)
    with database.begin() as connection:
        shard = shards.of_batch(connection, batch_id, 0, 1)[0]
    transcripts_of_shard(database, shard.id, "")
    for asked in ("보고서를", '"다음 주"', "사다리 보고서"):
        for alone in (None, batch_id):
            first = search(database, asked, limit=20, batch_id=alone)
            search(database, asked, limit=20, batch_id=alone, before=first.before)
    for force in (False, True):
        next(reindex(database, force=force), None)
    for rows_of in (transcript_rows, minutes_rows):
        rows_of(database, shard.id)
    for first_of in (first_transcriptions, first_summaries):
        first_of(database, shard.id, 3)


def _dispatch(database: Database) -> None:
    orders = dispatch.tick(
        database,
        max_shards_in_flight=1_000,
        max_active_batches=10,
        max_attempts=3,
        run_slots={"transcribe": 1},
    )
    for order in {order.job: order for order in orders}.values():
        dispatch.revoke_order(database, order, "Its run ended.")


def _publish_some(database: Database, batch_id: int, notifier: MailNotifier) -> None:
    with database.begin() as connection:
        keys = list(
            connection.scalars(
                text(
                    "SELECT key FROM stt_shards WHERE batch_id = :batch AND stage = 'publish' ORDER BY id LIMIT 2"
                ),
                {"batch": batch_id},
            )
        )
    with ShardClaims(
        database, ClaimRequest(keys, "publish", str(uuid.uuid4())), lease_seconds=60, max_attempts=3
    ) as work:
        write_minutes(work, lambda options: OneTopic())
        notify(work, lambda recipient: notifier)
        with database.begin() as connection:
            leases.extend(connection, shards_table, [shard.lease for shard in work.shards], 60)
            staleness.options_of_shards(connection, [shard.shard.id for shard in work.shards])
            runs.preempt(connection, work.shards[0].lease.run_id)
            runs.hand_back(connection, work.shards[0].lease, preempted=True)
    assert not any(shard.failures for shard in work.shards)


def _process_new_batch(database: Database, folder: Path) -> None:
    """Process a new batch from its scan to its report, twice."""
    write_tone(folder / "new" / "a.wav")
    (folder / "new" / "bad.mp3").write_text("not a recording")
    batch, _, keys = scanned(database, folder / "new", notify_emails=["kim@example.com"])
    notifier = MailNotifier("", folder / "outbox", "stt@example.com")
    Rows(database).change(shards_table, shards_table.c.key.in_(keys), crashes=1)
    for reprocess in (False, True):
        claim = ClaimRequest(keys, "transcribe", str(uuid.uuid4()), reprocess=reprocess)
        # the active file is written where one more crash is the last allowed one
        with ShardClaims(database, claim, lease_seconds=60, max_attempts=1) as work:
            probe_files(work)
            transcribe_files(work, FixedBackend(CountingTranscriber()))
            find_speakers(work, lambda options: OneSpeaker())
        with ShardClaims(
            database, ClaimRequest(keys, "publish", claim.run_id), lease_seconds=60, max_attempts=3
        ) as work:
            write_minutes(work, lambda options: OneTopic())
            notify(work, lambda recipient: notifier)
        _dispatch(database)
        report(database, batch.id, notifier)
    (folder / "new").rename(folder / "away")
    scan(database, batch, keys)
    (folder / "new").mkdir()
    scanned(database, folder / "new")


def _poll_watches(database: Database) -> None:
    """Poll two watches: the oldest, which may have many files, and a new one, which is removed again."""
    bucket = Keys(*(f"{number:03d}.wav" for number in range(20)))
    queue = "https://sqs.us-east-1.amazonaws.com/1/q"
    new = Watched(database, bucket, queue_url=queue)
    with database.begin() as connection:
        (oldest,) = watches.page(connection, 1)
    for number in range(2):
        bucket.add(f"later-{number}.wav")
        new.poll()
        ingest_objects(database, oldest, bucket.list_objects(), new.config)
        ingest_objects(database, new.row, bucket.list_objects(), new.config)
    with database.begin() as connection:
        watches.next_to_poll(connection, 1_000)
        watches.of_queues(connection)
        watches.overdue(connection, datetime.now(UTC))
        batches.overdue_reports(connection, datetime.now(UTC))
        watches.set_error(connection, new.id, "It does not answer.")
        watches.add_dead_letter(connection, queue, "1", "Hello", "It cannot be parsed.")
        assert watches.count_dead_letters(connection, queue) == 1
        watches.latest_dead_letters(connection, queue, 20)
        assert watches.latest_batches(connection, new.id, 20) == new.batch_ids[::-1]
    remove_watch(database, new.id)


def _end(database: Database, half_done: int, ended: int, folder: Path) -> None:
    lifecycle.cancel(database, half_done)
    for batch_id in dispatch.cancelled_batches(database):
        dispatch.runs_ended(database, batch_id)
    for batch_id in (half_done, ended):
        lifecycle.delete(database, batch_id)
        with claimed_batch(
            database, batch_id, run_id="end", token=None, lease_seconds=60, to_delete=True
        ) as work:
            delete_batch(work, delete_records=lambda batch_id: True, data_root=UPath(folder / "data"))
    retire_batches(database, days=90, delete_records=lambda batch_id: True)
    assert unknown_shards(database, ["000001-000000:none.wav"]) == ["000001-000000:none.wav"]
    assert unknown_batches(database, ["none"]) == ["none"]
