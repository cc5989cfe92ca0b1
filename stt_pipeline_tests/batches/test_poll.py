"""Polls of watched sources: no file is lost or added twice, and each poll is bounded."""

from datetime import timedelta

import pytest

from stt_pipeline.audio.allowed import ALLOW_ALL
from stt_pipeline.batches.ingest.poll import PollLimits, poll
from stt_pipeline.batches.requests.batch_request import WatchRequest
from stt_pipeline.batches.requests.create import create_watch, remove_watch
from stt_pipeline.batches.requests.validation import validated
from stt_pipeline.errors import InvalidRequestError, NotFoundError
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.watched import Keys, Watched


def _numbered(*numbers: int) -> list[str]:
    return [f"{number:06d}.wav" for number in numbers]


def test_existing_and_new_files_are_added_once(database: Database) -> None:
    bucket = Keys("a.wav", "b.wav", "notes.txt")
    watch = Watched(database, bucket)
    assert watch.poll().new_files == 2
    assert watch.poll().new_files == 0
    # before, between and after the known keys, and a key that does not match
    bucket.add("0.wav", "aa.wav", "c.wav", "d.txt")
    assert watch.poll().new_files == 3
    assert watch.poll().new_files == 0
    assert sorted(watch.keys) == ["0.wav", "a.wav", "aa.wav", "b.wav", "c.wav"]
    assert watch.row.files == 5
    assert watch.row.found_at is not None


def test_a_changed_object_is_a_new_one(database: Database) -> None:
    bucket = Keys("a.wav", "b.wav")
    watch = Watched(database, bucket)
    watch.poll()
    bucket.add("a.wav", etag="2")
    assert watch.poll().new_files == 1
    assert watch.keys == ["a.wav", "b.wav", "a.wav"]


@pytest.mark.slow
def test_a_poll_is_bounded_and_a_large_source_is_listed_in_parts(database: Database) -> None:
    limits = PollLimits(max_objects=100, seconds=600.0, look_back=10)
    bucket = Keys(*_numbered(*range(0, 1_000, 2)))
    watch = Watched(database, bucket)
    polls = 0
    while not watch.row.cursor.caught_up:
        before = bucket.listed
        watch.poll(limits)
        assert bucket.listed - before <= 100
        polls += 1
    assert polls == 6  # of 100 each, and one that finds the end
    assert watch.keys == _numbered(*range(0, 1_000, 2))
    # a key that arrives at the end, or a little before it, is found by the next poll
    bucket.add(*_numbered(1_001, 1_003))
    assert watch.poll(limits).new_files == 2
    bucket.add(*(_numbered(*range(1_005, 1_025, 2))))
    assert watch.poll(limits).new_files == 10
    bucket.add(*_numbered(1_010))
    assert watch.poll(limits).new_files == 1
    # a key that arrives far before it is found by the sweep
    bucket.add(*_numbered(1, 333, 901))
    found = 0
    for _ in range(6):
        before = bucket.listed
        found += watch.poll(limits).new_files
        assert bucket.listed - before <= 200
    assert found == 3
    assert watch.row.swept_at is not None


@pytest.mark.slow
def test_the_time_of_a_poll_is_bounded_and_a_slow_source_is_listed_completely(database: Database) -> None:
    limits = PollLimits(seconds=0.0, look_back=30, page=10)
    bucket = Keys(*_numbered(*range(50)))
    watch = Watched(database, bucket)
    assert watch.poll(limits).listed == 10
    while not watch.row.cursor.caught_up:
        assert watch.poll(limits).listed <= 10
    assert watch.row.files == 50
    bucket.add(*_numbered(*range(100, 180)), "000001-late.wav")
    for _ in range(30):
        assert watch.poll(limits).listed <= 20
    assert sorted(watch.keys) == sorted(bucket.etags)


def test_new_only_skips_existing_files(database: Database) -> None:
    bucket = Keys("old.wav")
    bucket.modified_at -= timedelta(hours=1)
    watch = Watched(database, bucket, new_only=True)
    assert watch.poll().new_files == 0
    assert watch.batch_ids == []
    bucket.modified_at += timedelta(hours=2)
    bucket.add("new.wav")
    assert watch.poll().new_files == 2


def test_a_source_that_becomes_empty_and_fills_again(database: Database) -> None:
    bucket = Keys("a.wav", "b.wav")
    watch = Watched(database, bucket)
    watch.poll()
    bucket.etags.clear()
    assert watch.poll().new_files == 0
    bucket.add("a.wav", "c.wav")
    assert watch.poll().new_files == 1


@pytest.mark.parametrize(
    ("invalid", "reason"),
    [
        ({"batching": "weekly"}, "'daily' or 'arrival'"),
        ({"priority": "urgent"}, "'high', 'normal' or 'low'"),
        ({"name": "x" * 171}, "name: .*at most 170 characters"),
        ({"name": "  "}, "name: a name has printable characters"),
        ({"notify_emails": ["nobody"]}, "nobody"),
        ({"options": {"colour": "red"}}, "there is no such option"),
        ({"source_path": "/nowhere/at/all"}, "does not exist"),
        ({"queue_url": "recordings"}, "address of a queue"),
        ({"queue_url": "ftp://sqs.example.com/1/q"}, "address of a queue"),
        ({"queue_url": "https://sqs.ap-northeast-2.amazonaws.com/1/q"}, "a queue has the events of a bucket"),
    ],
)
def test_an_invalid_watch_is_refused(
    database: Database, tmp_path: object, invalid: dict[str, object], reason: str
) -> None:
    with pytest.raises(InvalidRequestError, match=f"(?i){reason}"):
        create_watch(
            database, validated(WatchRequest, {"source_path": str(tmp_path), **invalid}), allowed=ALLOW_ALL
        )


def test_a_removed_watch_is_not_polled_and_its_batches_stay(database: Database) -> None:
    bucket = Keys("a.wav")
    watch = Watched(database, bucket)
    watch.poll()
    row = watch.row
    assert remove_watch(database, watch.id) == row
    (batch_id,) = watch.batch_ids
    assert len(watch.files_of(batch_id)) == 1
    bucket.add("b.wav")
    with pytest.raises(NotFoundError, match=r"Watch .* does not exist"):
        poll(database, row, watch.allowed, watch.config)
    with pytest.raises(NotFoundError, match="stt watch list"):
        remove_watch(database, watch.id)
