"""From a queue's messages to files of batches: each is added once and none is lost, whatever fails. The queue is moto's."""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest

from stt_pipeline.audio.s3_events import Arrival, arrivals
from stt_pipeline.audio.sources import SourceObject
from stt_pipeline.audio.sqs import QueueAccess
from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.ingest.objects import IngestConfig, IngestResult, ingest_objects
from stt_pipeline.batches.ingest.queue_consumer import MAX_RECEIVES, ConsumeResult, consume
from stt_pipeline.batches.requests.create import remove_watch
from stt_pipeline.errors import SourceUnavailableError
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest.watches import Watch
from stt_pipeline_tests.batches.event_queue import EventQueue, RecordedQueue
from stt_pipeline_tests.batches.watched import Watched


@pytest.fixture
def events(database: Database, aws: str) -> Iterator[EventQueue]:
    import boto3

    client = boto3.client("sqs")
    # longer than any test: a message becomes visible again only when the test says so
    attributes = {"VisibilityTimeout": "3600"}
    name = f"events-{uuid.uuid4().hex}"
    url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    queue = RecordedQueue(QueueAccess((aws,)).open(url), client)
    yield EventQueue(database, client, queue)
    client.delete_queue(QueueUrl=url)


@pytest.mark.slow
def test_messages_become_one_batch_and_leave_the_queue(events: EventQueue) -> None:
    watch = events.watch(batching="arrival")
    for number in range(23):
        events.notify(f"{number:02d}.wav")
    events.notify("a.wav", "b.wav", "notes.txt")
    events.notify("only notes.txt")
    result = events.consume()
    assert (result.messages, result.new_files, result.dead_letters, result.kept) == (25, 25, 0, 0)
    assert result.batch_ids == watch.batch_ids
    assert len(watch.batch_ids) == 1
    assert sorted(watch.keys) == [*(f"{number:02d}.wav" for number in range(23)), "a.wav", "b.wav"]
    assert (events.waiting, watch.row.files) == (0, 25)
    assert watch.row.found_at
    found_at = watch.row.found_at
    assert events.consume() == ConsumeResult()
    assert watch.row.looked_at > found_at  # type: ignore[operator]


@pytest.mark.slow
def test_duplicates_are_added_once_and_of_two_contents_the_latest(events: EventQueue) -> None:
    watch = events.watch()
    events.notify("a.wav")
    events.notify("a.wav")
    events.consume()
    events.notify("a.wav")
    events.notify("b.wav", etag="new", sequencer="0B")
    events.notify("b.wav", etag="old", sequencer="0A")
    events.consume()
    events.notify("a.wav", etag="other")
    events.consume()
    (batch_id,) = watch.batch_ids
    assert [(file.uri, file.etag) for file in watch.files_of(batch_id)] == [
        ("s3://calls/a.wav", "1"),
        ("s3://calls/b.wav", "new"),
        ("s3://calls/a.wav", "other"),
    ]
    assert events.waiting == 0


def test_messages_of_unknown_form_become_dead_letters(events: EventQueue) -> None:
    watch = events.watch()
    events.send("Your disk is full", json.dumps({"Event": "s3:TestEvent"}), "\ufffdodd")
    events.notify("a.wav")
    result = events.consume()
    assert (result.new_files, result.dead_letters, events.waiting) == (1, 2, 0)
    assert watch.keys == ["a.wav"]
    assert {letter.body for letter in events.dead_letters} == {"Your disk is full", "\ufffdodd"}
    assert "not JSON" in events.dead_letters[0].error
    assert watch.row.error is None


def test_a_message_with_an_unexpected_error_blocks_no_other(events: EventQueue) -> None:
    def parse(body: str) -> list[Arrival]:
        if "wav" not in body:
            raise ZeroDivisionError
        return arrivals(body)

    watch = events.watch()
    events.send("odd")
    events.notify("a.wav")
    result = events.consume(parse=parse)
    assert (result.new_files, result.dead_letters, events.waiting, watch.keys) == (1, 1, 0, ["a.wav"])


@pytest.mark.slow
def test_each_watch_of_a_queue_gets_the_files_that_it_matches(events: EventQueue) -> None:
    calls, meetings, both = events.watch("calls/"), events.watch("meetings/"), events.watch()
    events.notify("calls/a.wav", "meetings/b.wav", "else/c.wav")
    events.consume()
    assert [calls.keys, meetings.keys] == [["calls/a.wav"], ["meetings/b.wav"]]
    assert both.keys == ["calls/a.wav", "meetings/b.wav", "else/c.wav"]
    assert events.waiting == 0


@pytest.mark.slow
def test_a_source_that_cannot_be_opened_loses_no_file_and_blocks_no_watch(events: EventQueue) -> None:
    calls, meetings = events.watch("calls/"), events.watch("meetings/")
    events.closed.add(calls.row.source_path)
    events.notify("calls/a.wav")
    events.notify("meetings/b.wav")
    events.notify("calls/c.wav", "meetings/d.wav")
    result = events.consume()
    assert (result.kept, events.waiting) == (2, 2)
    assert calls.row.error == "s3://calls/calls/ does not answer."
    assert (calls.keys, meetings.keys) == ([], ["meetings/b.wav", "meetings/d.wav"])
    assert meetings.row.error is None
    # at any receive count: the error is not caused by the messages
    events.queue.older = MAX_RECEIVES
    assert (events.consume().kept, events.dead_letters) == (2, [])
    events.closed.clear()
    assert events.consume().new_files == 2
    assert (calls.row.error, calls.keys, events.waiting) == (None, ["calls/a.wav", "calls/c.wav"], 0)
    assert meetings.keys == ["meetings/b.wav", "meetings/d.wav"]


def test_the_error_of_a_source_is_cleared_when_it_answers_again_without_messages(events: EventQueue) -> None:
    watch = events.watch()
    events.closed.add(watch.row.source_path)
    events.notify("a.txt")
    events.consume()
    assert watch.row.error
    events.queue._client.purge_queue(QueueUrl=events.queue.url)
    events.consume()
    assert watch.row.error
    events.closed.clear()
    events.consume()
    assert watch.row.error is None


@pytest.mark.slow
def test_a_batch_with_an_active_run_keeps_the_messages_in_the_queue(events: EventQueue) -> None:
    watch = events.watch()
    events.notify("a.wav")
    events.consume()
    events.queue.older = MAX_RECEIVES
    events.notify("b.wav")
    with claimed_batch(events.database, watch.batch_ids[0], run_id="report", token=None, lease_seconds=60):
        result = events.consume()
    assert (result.kept, result.new_files, events.dead_letters, watch.row.error) == (1, 0, [], None)
    assert events.consume().new_files == 1
    assert (watch.keys, events.waiting) == (["a.wav", "b.wav"], 0)


class _Breaks:
    """Adds shard keys, but raises on some of them, ``times`` times."""

    def __init__(self, watch: Watched, error: Exception, on: Callable[[Sequence[str]], bool]) -> None:
        self._known, self._error, self._on = watch.partitions, error, on
        self.times = 1_000
        watch.config = type(watch.config)(self, 1 << 30, 60, watch.config.timezone)

    def __call__(self, keys: Sequence[str]) -> None:
        if self._on(keys) and self.times:
            self.times -= 1
            raise self._error
        self._known.extend(keys)


def test_files_of_a_failed_attempt_are_added_once_in_the_end(events: EventQueue) -> None:
    watch = events.watch()
    breaks = _Breaks(watch, ConnectionError("Dagster's storage is away"), lambda keys: True)
    for number in range(3):
        events.notify(f"{number}.wav")
    with pytest.raises(ConnectionError):
        events.consume()
    assert events.waiting == 3
    breaks.times = 0
    events.queue.older = MAX_RECEIVES
    result = events.consume()
    assert (events.waiting, result.kept, events.dead_letters) == (0, 0, [])
    assert sorted(watch.keys) == ["0.wav", "1.wav", "2.wav"]


def test_messages_that_could_not_be_deleted_are_delivered_again_and_no_file_is_added_twice(
    events: EventQueue,
) -> None:
    watch = events.watch(batching="arrival")
    events.notify("a.wav")
    events.send("Hello")
    events.queue.delete_error = SourceUnavailableError("The queue does not answer.")
    with pytest.raises(SourceUnavailableError):
        events.consume()
    assert (watch.keys, events.waiting, len(events.dead_letters)) == (["a.wav"], 2, 1)
    result = events.consume()
    assert (result.new_files, events.waiting, len(events.dead_letters)) == (0, 0, 1)
    assert len(watch.batch_ids) == 1


@pytest.mark.slow
def test_an_unavailable_database_loses_no_file(events: EventQueue) -> None:
    watch = events.watch()
    events.notify("a.wav")
    row, database = watch.row, Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(Exception, match="refused"):
        consume(database, events.queue, [row], watch.allowed, watch.config, seconds=1, wait_seconds=1)
    assert events.waiting == 1
    assert events.consume().new_files == 1


def test_a_message_that_fails_by_our_own_error_is_tried_alone_and_becomes_a_dead_letter_in_the_end(
    events: EventQueue,
) -> None:
    def ingest(
        database: Database, watch: Watch, objects: Iterable[SourceObject], config: IngestConfig
    ) -> IngestResult:
        objects = list(objects)
        if any("bad" in each.uri for each in objects):
            raise RuntimeError("an unexpected error")
        return ingest_objects(database, watch, objects, config)

    watch = events.watch()
    for name in ("a", "b", "bad", "c", "d"):
        events.notify(f"{name}.wav")
    result = events.consume(ingest=ingest)
    assert (result.new_files, result.kept, result.dead_letters) == (4, 1, 0)
    assert sorted(watch.keys) == ["a.wav", "b.wav", "c.wav", "d.wav"]
    assert "an unexpected error" in str(watch.row.error)
    events.queue.is_hidden = True
    events.consume(ingest=ingest)
    assert "an unexpected error" in str(watch.row.error)
    events.queue.is_hidden = False
    events.queue.older = MAX_RECEIVES
    result = events.consume(ingest=ingest)
    assert (result.kept, result.dead_letters, events.waiting) == (0, 1, 0)
    (letter,) = events.dead_letters
    assert "bad.wav" in letter.body
    assert (
        letter.error == f"Its files could not be added by watch {watch.id}. RuntimeError: an unexpected error"
    )


def test_a_watch_that_is_removed_meanwhile_adds_no_file(events: EventQueue) -> None:
    watch = events.watch()
    row = watch.row
    events.notify("a.wav")
    remove_watch(events.database, watch.id)
    result = consume(
        events.database,
        events.queue,
        [row],
        watch.allowed,
        watch.config,
        seconds=1,
        wait_seconds=1,
        quiet_seconds=0,
    )
    assert (result.new_files, result.kept, events.waiting) == (0, 1, 1)
