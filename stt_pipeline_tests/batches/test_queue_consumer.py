"""From a queue's messages to files of batches: each once, none lost, whatever fails in between. The queue is a real one."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, cast
from unittest.mock import Mock

import pytest

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.sources import Source
from stt_pipeline.audio.sqs import Message, Queue, QueueAccess
from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.ingest.queue_consumer import MOST_RECEIVES, Drained, drain
from stt_pipeline.batches.requests.create import remove_watch
from stt_pipeline.errors import SourceUnavailableError
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.manifest.watches import DeadLetter
from stt_pipeline_tests.batches.watched import Keys, Watched


class _Received(Queue):
    """A queue that remembers what it gave, so that a test need not wait for a visibility timeout."""

    def __init__(self, queue: Queue, client: Any) -> None:
        super().__init__(queue.url, client)
        self.given: list[Message] = []
        self.older = 0

    def receive(self, seconds: float = 0.0) -> list[Message]:
        given = super().receive(seconds)
        self.given += given
        return [Message(one.id, one.body, one.receipt, one.receives + self.older) for one in given]


class Bucket(Keys):
    """The keys of a folder of a bucket."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.uri = f"s3://calls/{folder}"

    def matches(self, uri: str) -> bool:
        return uri.startswith(self.uri) and super().matches(uri)


class Bell:
    """A queue, what is sent to it, and the watches that it tells about."""

    def __init__(self, database: Database, client: Any, queue: _Received) -> None:
        self.database, self.queue = database, queue
        self.watched: list[Watched] = []
        self.closed: set[str] = set()
        self._client = client

    def watch(self, folder: str = "", **wishes: object) -> Watched:
        url = "https://sqs.us-east-1.amazonaws.com/1/q"  # the test's own has another address
        self.watched.append(Watched(self.database, Bucket(folder), queue_url=url, **wishes))
        return self.watched[-1]

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self._client.send_message(QueueUrl=self.queue.url, MessageBody=body)

    def ring(self, *keys: str, etag: str = "1", sequencer: str = "") -> None:
        """Send what S3 does when objects arrive, all in one message."""
        at = datetime.now(timezone.utc).isoformat()
        records = [
            {
                "eventName": "ObjectCreated:Put",
                "eventTime": at,
                "s3": {
                    "bucket": {"name": "calls"},
                    "object": {"key": key, "size": 1_000, "eTag": etag, "sequencer": sequencer},
                },
            }
            for key in keys
        ]
        self.send(json.dumps({"Records": records}))

    def drain(self) -> Drained:
        """Drain the queue, in which everything is visible again before."""
        for message in self.queue.given:
            with contextlib.suppress(self._client.exceptions.ClientError):  # it is deleted
                self._client.change_message_visibility(
                    QueueUrl=self.queue.url, ReceiptHandle=message.receipt, VisibilityTimeout=0
                )
        self.queue.given.clear()
        bell = self

        class Allowed:
            def open(self, source_path: str, file_pattern: str = "") -> Source:
                if source_path in bell.closed:
                    raise SourceUnavailableError(f"{source_path} does not answer.")
                (source,) = {w.allowed.open("") for w in bell.watched if w.row.source_path == source_path}
                return source

        found = [one.row for one in self.watched]
        intake = self.watched[0].intake
        allowed = cast(AllowedSources, Allowed())
        return drain(
            self.database,
            self.queue,
            found,
            allowed,
            intake,
            seconds=20,
            wait_seconds=1 if self.waiting else 0,
            quiet_seconds=0,
        )

    @property
    def waiting(self) -> int:
        """How many messages the queue still has."""
        asked = self._client.get_queue_attributes(QueueUrl=self.queue.url, AttributeNames=["All"])[
            "Attributes"
        ]
        return sum(int(asked[f"ApproximateNumberOfMessages{kind}"]) for kind in ("", "NotVisible"))

    @property
    def dead_letters(self) -> list[DeadLetter]:
        with self.database.begin() as connection:
            return watches.latest_dead_letters(connection, self.queue.url, 100)


@pytest.fixture
def bell(database: Database, aws: str) -> Iterator[Bell]:
    import boto3

    client = boto3.client("sqs")
    url = client.create_queue(QueueName=f"bell-{time.monotonic_ns()}")["QueueUrl"]
    queue = _Received(QueueAccess((aws,)).open(url), client)
    yield Bell(database, client, queue)
    client.delete_queue(QueueUrl=url)


def test_what_a_queue_tells_becomes_one_batch_and_leaves_the_queue(bell: Bell) -> None:
    watch = bell.watch(batching="arrival")
    for number in range(23):
        bell.ring(f"{number:02d}.wav")
    bell.ring("a.wav", "b.wav", "notes.txt")
    bell.ring("only notes.txt")
    drained = bell.drain()
    assert (drained.messages, drained.new, drained.buried, drained.left) == (25, 25, 0, 0)
    assert drained.batch_ids == watch.batch_ids
    assert len(watch.batch_ids) == 1
    assert sorted(watch.keys) == [*(f"{number:02d}.wav" for number in range(23)), "a.wav", "b.wav"]
    assert (bell.waiting, watch.row.files) == (0, 25)
    assert watch.row.found_at
    found_at = watch.row.found_at
    assert bell.drain() == Drained()
    assert watch.row.looked_at > found_at  # type: ignore[operator]


def test_what_is_told_twice_comes_once_and_of_two_contents_the_last(bell: Bell) -> None:
    watch = bell.watch()
    bell.ring("a.wav")
    bell.ring("a.wav")
    bell.drain()
    bell.ring("a.wav")
    bell.ring("b.wav", etag="new", sequencer="0B")
    bell.ring("b.wav", etag="old", sequencer="0A")
    bell.drain()
    bell.ring("a.wav", etag="other")
    bell.drain()
    (batch_id,) = watch.batch_ids
    assert [(file.uri, file.etag) for file in watch.files_of(batch_id)] == [
        ("s3://calls/a.wav", "1"),
        ("s3://calls/b.wav", "new"),
        ("s3://calls/a.wav", "other"),
    ]
    assert bell.waiting == 0


def test_messages_that_nobody_understands_are_kept_as_dead_letters(bell: Bell) -> None:
    watch = bell.watch()
    bell.send("Your disk is full", json.dumps({"Event": "s3:TestEvent"}), "\ufffdodd")
    bell.ring("a.wav")
    drained = bell.drain()
    assert (drained.new, drained.buried, bell.waiting) == (1, 2, 0)
    assert watch.keys == ["a.wav"]
    assert {letter.body for letter in bell.dead_letters} == {"Your disk is full", "\ufffdodd"}
    assert "not JSON" in bell.dead_letters[0].error
    assert watch.row.error is None


def test_a_message_that_nobody_foresaw_holds_up_no_other(bell: Bell, monkeypatch: pytest.MonkeyPatch) -> None:
    from stt_pipeline.batches.ingest import queue_consumer

    watch = bell.watch()
    really = queue_consumer.arrivals
    monkeypatch.setattr(queue_consumer, "arrivals", lambda body: really(body) if "wav" in body else 1 / 0)
    bell.send("odd")
    bell.ring("a.wav")
    drained = bell.drain()
    assert (drained.new, drained.buried, bell.waiting, watch.keys) == (1, 1, 0, ["a.wav"])


def test_each_watch_of_a_queue_gets_what_it_means(bell: Bell) -> None:
    calls, meetings, both = bell.watch("calls/"), bell.watch("meetings/"), bell.watch()
    bell.ring("calls/a.wav", "meetings/b.wav", "else/c.wav")
    bell.drain()
    assert [calls.keys, meetings.keys] == [["calls/a.wav"], ["meetings/b.wav"]]
    assert both.keys == ["calls/a.wav", "meetings/b.wav", "else/c.wav"]
    assert bell.waiting == 0


def test_a_source_that_cannot_be_opened_loses_nothing_and_holds_up_nobody(bell: Bell) -> None:
    calls, meetings = bell.watch("calls/"), bell.watch("meetings/")
    bell.closed.add(calls.row.source_path)
    bell.ring("calls/a.wav")
    bell.ring("meetings/b.wav")
    bell.ring("calls/c.wav", "meetings/d.wav")
    drained = bell.drain()
    assert (drained.left, bell.waiting) == (2, 2)
    assert calls.row.error == "s3://calls/calls/ does not answer."
    assert (calls.keys, meetings.keys) == ([], ["meetings/b.wav", "meetings/d.wav"])
    assert meetings.row.error is None
    # however often: it is not the messages' fault
    bell.queue.older = MOST_RECEIVES
    assert (bell.drain().left, bell.dead_letters) == (2, [])
    bell.closed.clear()
    assert bell.drain().new == 2
    assert (calls.row.error, calls.keys, bell.waiting) == (None, ["calls/a.wav", "calls/c.wav"], 0)
    assert meetings.keys == ["meetings/b.wav", "meetings/d.wav"]


def test_an_error_of_a_source_goes_when_it_answers_again_though_nothing_arrives(bell: Bell) -> None:
    watch = bell.watch()
    bell.closed.add(watch.row.source_path)
    bell.ring("a.txt")
    bell.drain()
    assert watch.row.error
    bell.queue._client.purge_queue(QueueUrl=bell.queue.url)
    bell.drain()
    assert watch.row.error
    bell.closed.clear()
    bell.drain()
    assert watch.row.error is None


def test_a_batch_that_a_run_has_in_hand_is_no_fault_of_the_messages(bell: Bell) -> None:
    watch = bell.watch()
    bell.ring("a.wav")
    bell.drain()
    bell.queue.older = MOST_RECEIVES
    bell.ring("b.wav")
    with claimed_batch(bell.database, watch.batch_ids[0], run_id="report", token=None, lease_seconds=60):
        drained = bell.drain()
    assert (drained.left, drained.new, bell.dead_letters, watch.row.error) == (1, 0, [], None)
    assert bell.drain().new == 1
    assert (watch.keys, bell.waiting) == (["a.wav", "b.wav"], 0)


class _Breaks:
    """Makes shard keys known, but fails on those that it is told, ``times`` times."""

    def __init__(self, watch: Watched, error: Exception, on: Callable[[Sequence[str]], bool]) -> None:
        self._known, self._error, self._on = watch.partitions, error, on
        self.times = 1_000
        watch.intake = type(watch.intake)(self, 1 << 30, 60, watch.intake.timezone)

    def __call__(self, keys: Sequence[str]) -> None:
        if self._on(keys) and self.times:
            self.times -= 1
            raise self._error
        self._known.extend(keys)


def test_what_fails_half_way_is_there_once_in_the_end(bell: Bell) -> None:
    watch = bell.watch()
    breaks = _Breaks(watch, ConnectionError("Dagster's storage is away"), lambda keys: True)
    for number in range(3):
        bell.ring(f"{number}.wav")
    with pytest.raises(ConnectionError):
        bell.drain()
    assert bell.waiting == 3
    breaks.times = 0
    bell.queue.older = MOST_RECEIVES
    drained = bell.drain()
    assert (bell.waiting, drained.left, bell.dead_letters) == (0, 0, [])
    assert sorted(watch.keys) == ["0.wav", "1.wav", "2.wav"]


def test_a_queue_that_goes_away_before_it_could_delete_tells_again_and_nothing_comes_twice(
    bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = bell.watch(batching="arrival")
    bell.ring("a.wav")
    bell.send("Hello")
    with monkeypatch.context() as patch:
        patch.setattr(Queue, "delete", Mock(side_effect=SourceUnavailableError("The queue does not answer.")))
        with pytest.raises(SourceUnavailableError):
            bell.drain()
    assert (watch.keys, bell.waiting, len(bell.dead_letters)) == (["a.wav"], 2, 1)
    drained = bell.drain()
    assert (drained.new, bell.waiting, len(bell.dead_letters)) == (0, 0, 1)
    assert len(watch.batch_ids) == 1


def test_a_database_that_is_away_loses_nothing(bell: Bell) -> None:
    watch = bell.watch()
    bell.ring("a.wav")
    row, database = watch.row, Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(Exception, match="refused"):
        drain(database, bell.queue, [row], watch.allowed, watch.intake, seconds=1, wait_seconds=1)
    assert bell.waiting == 1
    assert bell.drain().new == 1


def test_a_message_on_which_our_own_work_fails_is_tried_alone_and_kept_as_a_dead_letter_in_the_end(
    bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stt_pipeline.batches.ingest import queue_consumer

    watch = bell.watch()
    really = queue_consumer.arrive

    def arrive(database: Any, row: Any, objects: Any, intake: Any) -> Any:
        objects = list(objects)
        if any("bad" in each.uri for each in objects):
            raise RuntimeError("nobody thought of this")
        return really(database, row, objects, intake)

    monkeypatch.setattr(queue_consumer, "arrive", arrive)
    for name in ("a", "b", "bad", "c", "d"):
        bell.ring(f"{name}.wav")
    drained = bell.drain()
    assert (drained.new, drained.left, drained.buried) == (4, 1, 0)
    assert sorted(watch.keys) == ["a.wav", "b.wav", "c.wav", "d.wav"]
    assert "nobody thought of this" in str(watch.row.error)
    with monkeypatch.context() as hidden:  # until it comes again
        hidden.setattr(bell.queue, "receive", lambda seconds: [])
        bell.drain()
    assert "nobody thought of this" in str(watch.row.error)
    bell.queue.older = MOST_RECEIVES
    drained = bell.drain()
    assert (drained.left, drained.buried, bell.waiting) == (0, 1, 0)
    (letter,) = bell.dead_letters
    assert "bad.wav" in letter.body
    assert (
        letter.error == f"It could not be taken in by watch {watch.id}. RuntimeError: nobody thought of this"
    )


def test_a_watch_that_is_removed_meanwhile_takes_nothing_in(bell: Bell) -> None:
    watch = bell.watch()
    row = watch.row
    bell.ring("a.wav")
    remove_watch(bell.database, watch.id)
    drained = drain(
        bell.database,
        bell.queue,
        [row],
        watch.allowed,
        watch.intake,
        seconds=1,
        wait_seconds=1,
        quiet_seconds=0,
    )
    assert (drained.new, drained.left, bell.waiting) == (0, 1, 1)
