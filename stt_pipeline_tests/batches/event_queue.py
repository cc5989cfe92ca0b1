"""A queue of bucket events on moto, its messages, and the watches that it is for."""

import contextlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.s3_events import arrivals
from stt_pipeline.audio.sources import Source
from stt_pipeline.audio.sqs import Message, Queue
from stt_pipeline.batches.ingest.objects import ingest_objects
from stt_pipeline.batches.ingest.queue_consumer import ConsumeResult, Ingest, Parse, consume
from stt_pipeline.errors import SourceUnavailableError
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.manifest.watches import DeadLetter
from stt_pipeline_tests.batches.watched import Keys, Watched


class RecordedQueue(Queue):
    """A queue that records its messages, so that a test need not wait for a visibility timeout.

    Attributes:
        older: added to the receive count of each message.
        is_hidden: no message is visible.
        delete_error: raised by the next call of ``delete``.
    """

    def __init__(self, queue: Queue, client: Any) -> None:
        super().__init__(queue.url, client)
        self.given: list[Message] = []
        self.older = 0
        self.is_hidden = False
        self.delete_error: Exception | None = None

    def receive(self, seconds: float = 0.0) -> list[Message]:
        given = [] if self.is_hidden else super().receive(seconds)
        self.given += given
        return [Message(one.id, one.body, one.receipt, one.receives + self.older) for one in given]

    def delete(self, messages: Sequence[Message]) -> list[str]:
        if self.delete_error is not None:
            error, self.delete_error = self.delete_error, None
            raise error
        return super().delete(messages)


class Bucket(Keys):
    """The keys of a folder of a bucket."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.uri = f"s3://calls/{folder}"

    def matches(self, uri: str) -> bool:
        return uri.startswith(self.uri) and super().matches(uri)


class EventQueue:
    """A queue, its messages, and its watches."""

    def __init__(self, database: Database, client: Any, queue: RecordedQueue) -> None:
        self.database, self.queue = database, queue
        self.watched: list[Watched] = []
        self.closed: set[str] = set()
        self._client = client

    def watch(self, folder: str = "", **request: object) -> Watched:
        url = "https://sqs.us-east-1.amazonaws.com/1/q"  # the test's own has another address
        self.watched.append(Watched(self.database, Bucket(folder), queue_url=url, **request))
        return self.watched[-1]

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self._client.send_message(QueueUrl=self.queue.url, MessageBody=body)

    def notify(self, *keys: str, etag: str = "1", sequencer: str = "") -> None:
        """Send S3's event notification of new objects, all in one message."""
        at = datetime.now(UTC).isoformat()
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

    def consume(self, *, parse: Parse = arrivals, ingest: Ingest = ingest_objects) -> ConsumeResult:
        """Consume the queue, after all its messages are visible again."""
        for message in self.queue.given:
            with contextlib.suppress(self._client.exceptions.ClientError):  # it is deleted
                self._client.change_message_visibility(
                    QueueUrl=self.queue.url, ReceiptHandle=message.receipt, VisibilityTimeout=0
                )
        self.queue.given.clear()
        events = self

        class Allowed:
            def open(self, source_path: str, file_pattern: str = "") -> Source:
                if source_path in events.closed:
                    raise SourceUnavailableError(f"{source_path} does not answer.")
                (source,) = {w.allowed.open("") for w in events.watched if w.row.source_path == source_path}
                return source

        return consume(
            self.database,
            self.queue,
            [one.row for one in self.watched],
            cast(AllowedSources, Allowed()),
            self.watched[0].config,
            seconds=600,
            wait_seconds=1 if self.waiting else 0,
            quiet_seconds=0,
            parse=parse,
            ingest=ingest,
        )

    @property
    def waiting(self) -> int:
        """The number of messages in the queue."""
        asked = self._client.get_queue_attributes(QueueUrl=self.queue.url, AttributeNames=["All"])[
            "Attributes"
        ]
        return sum(int(asked[f"ApproximateNumberOfMessages{kind}"]) for kind in ("", "NotVisible"))

    @property
    def dead_letters(self) -> list[DeadLetter]:
        with self.database.begin() as connection:
            return watches.latest_dead_letters(connection, self.queue.url, 100)
