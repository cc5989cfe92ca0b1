"""SQS queues: receive and delete messages. ``s3_events`` parses their bodies.

The address of a queue is user input, and requests to it are signed with the server's credentials. So requests go only to
hosts of SQS and to those of ``STT_SQS_ENDPOINTS``.
"""

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from stt_pipeline.audio.aws_errors import SQS, aws_errors, has_bad_credentials
from stt_pipeline.errors import ConfigurationError, InvalidRequestError
from stt_pipeline.settings import Settings

MESSAGES_A_REQUEST = 10
LONGEST_WAIT = 20
"""Seconds that a request can wait for messages; both values are limits of SQS."""

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 5  # after the wait
# https://docs.aws.amazon.com/general/latest/gr/sqs-service.html, and the legacy hosts that addresses can still have
_REGION = r"(?P<region>[a-z]{2}(-[a-z]+)+-\d+)"
_AWS = re.compile(
    rf"sqs(-fips)?\.{_REGION}\.(amazonaws\.com(\.cn)?|api\.aws)|{_REGION.replace('region', 'older')}\.queue\.amazonaws\.com"
)
_PRIVATE = re.compile(rf"vpce-[a-z0-9-]+\.sqs\.{_REGION}\.vpce\.amazonaws\.com")
_MAX_LENGTH = 1_000
_PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+")
_EXAMPLE = "https://sqs.ap-northeast-2.amazonaws.com/123456789012/recordings"


@dataclass(frozen=True, slots=True)
class Message:
    """A received message.

    Attributes:
        receipt: the receipt handle of this delivery, for deleting the message.
        receives: the number of deliveries, including this one.
    """

    id: str
    body: str
    receipt: str
    receives: int


class QueueClients:
    """SQS clients of boto3, one for each profile, region and endpoint; threads can share them."""

    def __init__(self, attempts: int = 2) -> None:
        """Requests that get no answer are tried ``attempts`` times."""
        self._attempts = attempts
        self._clients: dict[tuple[str | None, str | None, str | None], Any] = {}
        self._lock = threading.Lock()

    def get(self, profile: str | None, region: str | None, endpoint: str | None) -> Any:
        """Return the client; it is made on first use."""
        key = (profile, region, endpoint)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._create(*key)
            return self._clients[key]

    def clear(self) -> None:
        """Forget all clients, so that the next ones read the credentials again."""
        with self._lock:
            self._clients.clear()

    def _create(self, profile: str | None, region: str | None, endpoint: str | None) -> Any:
        import boto3
        from botocore.config import Config

        # a new session: it is not thread-safe to make clients from the shared one
        session = boto3.session.Session(profile_name=profile)
        return session.client(
            "sqs",
            # boto3 requires a region, which servers other than AWS do not have
            region_name=region or session.region_name or ("us-east-1" if endpoint else None),
            endpoint_url=endpoint,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": self._attempts},
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=LONGEST_WAIT + _ANSWER_SECONDS,
            ),
        )


_CLIENTS = QueueClients()


@dataclass(frozen=True, slots=True)
class QueueAccess:
    """Which queues are allowed, and with which credentials.

    Attributes:
        endpoints: addresses of servers besides those of AWS, as in ``http://127.0.0.1:4566``.
        clients: those of this process.
    """

    endpoints: tuple[str, ...] = ()
    region: str = ""
    profile: str = ""
    clients: QueueClients = field(default=_CLIENTS, compare=False, repr=False)

    @classmethod
    def of(cls, settings: Settings) -> "QueueAccess":
        """Return the access that the settings describe.

        Raises:
            ConfigurationError: STT_SQS_ENDPOINTS is not a list of server addresses.
        """
        addresses = [one.strip().rstrip("/") for one in settings.sqs_endpoints.split(",") if one.strip()]
        for address in addresses:
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or "@" in address:
                raise ConfigurationError(
                    f"STT_SQS_ENDPOINTS: {address!r} is not the address of a server: write it as in http://127.0.0.1:4566."
                )
        return cls(tuple(address.lower() for address in addresses), settings.s3_region, settings.s3_profile)

    def check(self, url: str) -> None:
        """Check the text of a queue's address; no request is made.

        Raises:
            InvalidRequestError: it is not the address of a queue, or its server is not allowed.
        """
        self._region_and_endpoint(url)

    def open(self, url: str) -> "Queue":
        """Return the queue at ``url``; no request is made, so the queue may not exist.

        Raises:
            InvalidRequestError: as for :meth:`check`.
            ConfigurationError: the profile does not exist.
        """
        region, endpoint = self._region_and_endpoint(url)
        with aws_errors(url, SQS):
            client = self.clients.get(self.profile or None, region or self.region or None, endpoint)
        return Queue(url, client, self.clients)

    def _region_and_endpoint(self, url: str) -> tuple[str | None, str | None]:
        """Return the region in an address of AWS, and the endpoint if it is not boto3's default."""
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            parts, host = urlsplit(""), ""
        origin = f"{parts.scheme}://{parts.netloc}".lower()
        is_address = parts.scheme in ("http", "https") and host and _PATH.fullmatch(parts.path)
        if not is_address or parts.query or parts.fragment or len(url) > _MAX_LENGTH:
            raise InvalidRequestError(
                f"{url[:200]!r} is not the address of a queue: write it as SQS shows it, as in {_EXAMPLE}."
            )
        if origin in self.endpoints:
            return None, origin
        # the whole host, without user and port: other customers' machines and buckets have names at amazonaws.com, too
        if parts.scheme == "https" and parts.netloc.lower() == host:
            if match := _AWS.fullmatch(host):
                return match["region"] or match["older"], None
            if match := _PRIVATE.fullmatch(host):
                return match["region"], origin
        raise InvalidRequestError(
            f"Queues of {host} are not allowed: give an address of SQS, as in {_EXAMPLE}, or of a server in "
            "STT_SQS_ENDPOINTS."
        )


AWS_QUEUES = QueueAccess()
"""The queues of AWS, without any settings."""


class Queue:
    """A queue. A received message is hidden for the visibility timeout, and is delivered again unless it is deleted."""

    def __init__(self, url: str, client: Any, clients: QueueClients = _CLIENTS) -> None:
        self.url = url
        self._client = client
        self._clients = clients

    def receive(self, seconds: float = 0.0) -> list[Message]:
        """Return up to ten messages; wait for the first up to ``seconds`` (rounded down, at most 20).

        Raises:
            InvalidRequestError: the queue does not exist, or access is denied.
            ConfigurationError: credentials or region are wrong.
            SourceUnavailableError: no answer.
        """
        with self._errors():
            answer = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=MESSAGES_A_REQUEST,
                WaitTimeSeconds=max(0, min(LONGEST_WAIT, int(seconds))),
                AttributeNames=["ApproximateReceiveCount"],
            )
        return [
            Message(
                one["MessageId"],
                one.get("Body", ""),
                one["ReceiptHandle"],
                int(one.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
            )
            for one in answer.get("Messages", [])
        ]

    def delete(self, messages: Sequence[Message]) -> list[str]:
        """Delete messages; return the errors of those that could not be deleted and will be delivered again.

        Raises:
            InvalidRequestError: as for :meth:`receive`.
            ConfigurationError: as for :meth:`receive`.
            SourceUnavailableError: as for :meth:`receive`.
        """
        failed = []
        for first in range(0, len(messages), MESSAGES_A_REQUEST):
            part = messages[first : first + MESSAGES_A_REQUEST]
            entries = [{"Id": str(place), "ReceiptHandle": one.receipt} for place, one in enumerate(part)]
            with self._errors():
                answer = self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)
            failed += [
                f"message {part[int(one['Id'])].id}: {one.get('Message') or one.get('Code')}"
                for one in answer.get("Failed", [])
            ]
        return failed

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with aws_errors(self.url, SQS):
                yield
        except ConfigurationError as error:
            if has_bad_credentials(error.__cause__):
                self._clients.clear()  # the next call reads new credentials, if there are any
            raise
