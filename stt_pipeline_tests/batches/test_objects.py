"""New objects of watches: they are added once, to the day's batch or a new one, also after a crash at any point."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.execution.dispatch import tick
from stt_pipeline.batches.ingest.scan import scan_batch
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.batches.requests.create import remove_watch
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.mail.notifier import MailNotifier
from stt_pipeline.store import tables
from stt_pipeline.store.access import audit
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches, shards
from stt_pipeline_tests.batches.recordings import MAX_BYTES, report
from stt_pipeline_tests.batches.watched import SEOUL, Keys, Watched
from stt_pipeline_tests.rows import Rows


def _jobs(database: Database) -> list[str]:
    orders = tick(database, max_shards_in_flight=1_000, max_active_batches=10, max_attempts=3)
    return [order.job for order in orders]


def _finish(database: Database) -> None:
    """Complete every file and close every shard, as runs would."""
    Rows(database).change(tables.audio_files, status="success")
    total = tables.shards.c.total
    Rows(database).change(tables.shards, stage="done", completed=total, token=None, run_id=None)


def test_a_day_has_one_batch_which_ends_after_the_day(database: Database, tmp_path: object) -> None:
    bucket = Keys("a.wav")
    watch = Watched(database, bucket, name="통화 녹음", priority="high", options={"language": "ko"})
    watch.poll()
    bucket.add("b.wav", "c.wav")
    watch.poll()
    (batch_id,) = watch.batch_ids
    with database.begin() as connection:
        batch = batches.get(connection, batch_id)
        (entry,) = audit.of_batch(connection, batch_id)
    now = datetime.now(SEOUL)
    assert batch.name == f"통화 녹음 {now:%Y-%m-%d}"
    assert (batch.status, batch.total_files, batch.priority) == ("processing", 3, "high")
    assert batch.options == {"language": "ko"}
    assert batch.open_until == datetime.combine(
        now.date() + timedelta(days=1), datetime.min.time(), SEOUL
    ).astimezone(UTC)
    assert entry.who == batch.created_by == f"watch {watch.id} (통화 녹음)"
    # each file is a shard of its own, known to Dagster in order
    assert watch.partitions == [
        f"{batch_id:06d}-{number:06d}:{name}" for number, name in enumerate(("a.wav", "b.wav", "c.wav"))
    ]
    _finish(database)
    assert _jobs(database) == []
    # a report by a user does not close it
    report(database, batch_id, MailNotifier("", tmp_path, "stt@localhost"))  # type: ignore[arg-type]
    assert progress(database, batch_id).status == "processing"
    Rows(database).change(tables.batches, open_until=datetime.now(UTC) - timedelta(seconds=1))
    assert _jobs(database) == ["report"]
    bucket.add("d.wav")
    watch.poll()
    assert len(watch.batch_ids) == 2


def test_batching_by_arrival_makes_a_batch_for_each_poll_with_new_files(database: Database) -> None:
    bucket = Keys("a.wav")
    watch = Watched(database, bucket, batching="arrival")
    watch.poll()
    watch.poll()
    bucket.add("b.wav")
    watch.poll()
    assert len(watch.batch_ids) == 2
    assert watch.keys == ["a.wav", "b.wav"]
    _finish(database)
    assert _jobs(database) == ["report", "report"]


def test_the_open_batch_of_a_removed_watch_ends(database: Database) -> None:
    watch = Watched(database, Keys("a.wav"))
    watch.poll()
    _finish(database)
    remove_watch(database, watch.id)
    assert _jobs(database) == ["report"]


@pytest.mark.parametrize("ended", ["cancelled", "deleting"])
def test_a_cancelled_batch_gets_no_more_files(database: Database, ended: str) -> None:
    bucket = Keys("a.wav")
    watch = Watched(database, bucket)
    watch.poll()
    lifecycle.cancel(database, watch.batch_ids[0])
    if ended == "deleting":
        Rows(database).change(tables.batches, stage="done")
        lifecycle.delete(database, watch.batch_ids[0])
    bucket.add("b.wav")
    watch.poll()
    first, second = watch.batch_ids
    assert [len(watch.files_of(batch_id)) for batch_id in (first, second)] == [1, 1]


def test_a_paused_batch_gets_files_and_stays_paused(database: Database) -> None:
    bucket = Keys("a.wav")
    watch = Watched(database, bucket)
    watch.poll()
    lifecycle.pause(database, watch.batch_ids[0])
    bucket.add("b.wav")
    watch.poll()
    figures = progress(database, watch.batch_ids[0])
    assert (figures.status, figures.total_files) == ("paused", 2)


def test_a_batch_with_an_active_run_is_skipped_and_no_file_is_lost(database: Database) -> None:
    bucket = Keys("a.wav")
    watch = Watched(database, bucket)
    watch.poll()
    bucket.add("b.wav")
    before = watch.row.cursor
    with (
        claimed_batch(database, watch.batch_ids[0], run_id="report", token=None, lease_seconds=60),
        pytest.raises(InvalidRequestError, match="being worked by run report"),
    ):
        watch.poll()
    assert watch.row.cursor == before
    assert watch.poll().new_files == 1
    assert watch.keys == ["a.wav", "b.wav"]


def test_duplicates_in_any_order_are_added_once(database: Database) -> None:
    bucket = Keys(*(f"{number:03d}.wav" for number in range(20)))
    watch = Watched(database, bucket, batching="arrival")
    objects = list(bucket.list_objects())
    assert watch.ingest([*objects[10:15], *objects[12:18], objects[10]]).new_files == 8
    assert watch.ingest([*objects[::-1], *objects]).new_files == 12
    assert watch.ingest(objects).batch_id is None
    assert sorted(watch.keys) == sorted(bucket.etags)
    with database.begin() as connection:
        counted = shards.of_batch(connection, watch.batch_ids[0], -1, 100)
    assert [shard.total for shard in counted] == [1] * 8


def test_an_interrupted_poll_is_finished_by_the_dispatcher(database: Database) -> None:
    bucket = Keys("a.wav", "b.wav")
    watch = Watched(database, bucket)

    class StorageError(Exception):
        pass

    def fails(keys: object) -> None:
        raise StorageError

    watch.config = replace(watch.config, add_partitions=fails)
    with pytest.raises(StorageError):
        watch.poll()
    Rows(database).change(tables.batches, not_before=None)
    assert _jobs(database) == ["scan"]
    (batch_id,) = watch.batch_ids
    bucket.add("c.wav")
    keys: list[str] = []
    with claimed_batch(database, batch_id, run_id="scan", token=None, lease_seconds=60) as work:
        result = scan_batch(
            work,
            add_partitions=keys.extend,
            max_file_bytes=MAX_BYTES,
            open_source=lambda path, pattern: pytest.fail(
                "the source of a watch may be too large to be listed"
            ),
        )
    # only the files of the interrupted poll
    assert (result.total_files, len(keys)) == (2, 2)
    assert progress(database, batch_id).status == "processing"
    watch.config = replace(watch.config, add_partitions=keys.extend)
    assert watch.poll().new_files == 1
    assert sorted(watch.keys) == ["a.wav", "b.wav", "c.wav"]


def test_two_watches_of_one_source_are_independent(database: Database) -> None:
    bucket = Keys("a.wav")
    first, second = Watched(database, bucket), Watched(database, bucket)
    assert (first.poll().new_files, second.poll().new_files) == (1, 1)


def test_many_arrivals_share_shards(database: Database) -> None:
    bucket = Keys(*(f"{number:05d}.wav" for number in range(1_100)))
    watch = Watched(database, bucket)
    assert watch.poll().new_files == 1_100
    assert len(watch.partitions) == 11
    bucket.add("z.wav")
    watch.poll()
    assert len(watch.partitions) == 12
