"""A queue of SQS: messages are received, and deleted when they were worked off. What they say is for ``notifications``.

A queue's address comes from people, and asking it sends signed requests there. So only hosts of SQS are asked, and those of
``STT_SQS_ENDPOINTS``.
"""

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from stt_pipeline.audio.s3_client import answer_of
from stt_pipeline.errors import ConfigurationError, InvalidRequestError, SourceUnavailableError, SttError
from stt_pipeline.settings import Settings

MESSAGES_A_REQUEST = 10
LONGEST_WAIT = 20
"""Seconds that a request may wait for messages; both figures are those of SQS."""

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 5  # on top of the wait
_ATTEMPTS = 2
# https://docs.aws.amazon.com/general/latest/gr/sqs-service.html, and the older ones that queues' addresses may still have
_REGION = r"(?P<region>[a-z]{2}(-[a-z]+)+-\d+)"
_AWS = re.compile(
    rf"sqs(-fips)?\.{_REGION}\.(amazonaws\.com(\.cn)?|api\.aws)|{_REGION.replace('region', 'older')}\.queue\.amazonaws\.com"
)
_PRIVATE = re.compile(rf"vpce-[a-z0-9-]+\.sqs\.{_REGION}\.vpce\.amazonaws\.com")
_LONGEST = 1_000
_PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+")
_EXAMPLE = "https://sqs.ap-northeast-2.amazonaws.com/123456789012/recordings"
_BAD_CREDENTIALS = (
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidSecurity",
    "MissingAuthenticationToken",
    "IncompleteSignature",
)
_CREDENTIALS = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or STT_S3_PROFILE, or run where a role is given."
)

_clients: "dict[tuple[str | None, str | None, str | None], Any]" = {}
_making = threading.Lock()


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was received.

    Attributes:
        receipt: by which this delivery of it is deleted.
        receives: how often it was delivered, this time included.
    """

    id: str
    body: str
    receipt: str
    receives: int


@dataclass(frozen=True, slots=True)
class QueueAccess:
    """Which queues may be asked, and as whom.

    Attributes:
        endpoints: addresses of servers besides those of AWS, as in ``http://127.0.0.1:4566``.
    """

    endpoints: tuple[str, ...] = ()
    region: str = ""
    profile: str = ""

    @classmethod
    def of(cls, settings: Settings) -> "QueueAccess":
        """Return the access that the settings describe.

        Raises:
            ConfigurationError: STT_SQS_ENDPOINTS has something else than addresses of servers.
        """
        addresses = [one.strip().rstrip("/") for one in settings.sqs_endpoints.split(",") if one.strip()]
        for address in addresses:
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or "@" in address:
                raise ConfigurationError(
                    f"STT_SQS_ENDPOINTS: {address!r} is no address of a server: write it as in http://127.0.0.1:4566."
                )
        return cls(tuple(address.lower() for address in addresses), settings.s3_region, settings.s3_profile)

    def check(self, url: str) -> None:
        """Judge a queue's address by its text; nothing is asked.

        Raises:
            InvalidRequestError: it is no address of a queue, or of a server that is not allowed.
        """
        self._region_and_endpoint(url)

    def open(self, url: str) -> "Queue":
        """Return the queue at ``url``; whether there is one shows when it is asked.

        Raises:
            InvalidRequestError: as for :meth:`check`.
            ConfigurationError: there is no such profile.
        """
        region, endpoint = self._region_and_endpoint(url)
        with _explained(url), _making:
            asked = (self.profile or None, region or self.region or None, endpoint)
            if asked not in _clients:
                _clients[asked] = _client(*asked)
            return Queue(url, _clients[asked])

    def _region_and_endpoint(self, url: str) -> tuple[str | None, str | None]:
        """Return the region that an address of AWS names, and the server where that is not what boto3 takes."""
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            parts, host = urlsplit(""), ""
        origin = f"{parts.scheme}://{parts.netloc}".lower()
        is_address = parts.scheme in ("http", "https") and host and _PATH.fullmatch(parts.path)
        if not is_address or parts.query or parts.fragment or len(url) > _LONGEST:
            raise InvalidRequestError(
                f"{url[:200]!r} is no address of a queue: write it as SQS shows it, as in {_EXAMPLE}."
            )
        if origin in self.endpoints:
            return None, origin
        # the whole host, without user and port: machines and buckets of others have names at amazonaws.com, too
        if parts.scheme == "https" and parts.netloc.lower() == host:
            if match := _AWS.fullmatch(host):
                return match["region"] or match["older"], None
            if match := _PRIVATE.fullmatch(host):
                return match["region"], origin
        raise InvalidRequestError(
            f"Queues of {host} are not asked: the address is to be one of SQS, as in {_EXAMPLE}, or of a server that whoever "
            "runs the product names in STT_SQS_ENDPOINTS."
        )


AWS_QUEUES = QueueAccess()
"""Without any settings: those of AWS."""


class Queue:
    """A queue. Messages that are received stay hidden for its visibility timeout, and come again unless they are deleted."""

    def __init__(self, url: str, client: Any) -> None:
        self.url = url
        self._client = client

    def receive(self, seconds: float = 0.0) -> list[Message]:
        """Return up to ten messages, and wait for one up to ``seconds`` (whole ones, 20 at most).

        Raises:
            InvalidRequestError: there is no such queue, or access is denied.
            ConfigurationError: credentials or region are wrong.
            SourceUnavailableError: no answer.
        """
        with _explained(self.url):
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
        """Delete messages, and return why some of them could not be: they will come again, as may all others.

        Raises:
            InvalidRequestError: as for :meth:`receive`; so are the others.
            ConfigurationError: as there.
            SourceUnavailableError: as there.
        """
        failed = []
        for first in range(0, len(messages), MESSAGES_A_REQUEST):
            part = messages[first : first + MESSAGES_A_REQUEST]
            entries = [{"Id": str(place), "ReceiptHandle": one.receipt} for place, one in enumerate(part)]
            with _explained(self.url):
                answer = self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)
            failed += [
                f"message {part[int(one['Id'])].id}: {one.get('Message') or one.get('Code')}"
                for one in answer.get("Failed", [])
            ]
        return failed


def _client(profile: str | None, region: str | None, endpoint: str | None) -> Any:
    import boto3
    from botocore.config import Config

    # a session of its own: making clients from the shared one is not safe with threads
    session = boto3.session.Session(profile_name=profile)
    return session.client(
        "sqs",
        # a server that is not AWS's has no regions, and boto3 wants one
        region_name=region or session.region_name or ("us-east-1" if endpoint else None),
        endpoint_url=endpoint,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=LONGEST_WAIT + _ANSWER_SECONDS,
        ),
    )


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn the errors of boto3 into the product's own."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise _named(error, url) from error


def _named(error: Exception, url: str) -> SttError:
    from botocore import exceptions

    code, status = answer_of(error)
    code = code.rpartition(".")[2]  # AWS.SimpleQueueService.NonExistentQueue
    if code:
        said = f"{code}: {getattr(error, 'response', {}).get('Error', {}).get('Message', '')}".rstrip(": .")
        if code in ("NonExistentQueue", "QueueDoesNotExist"):
            return InvalidRequestError(f"There is no queue {url}. Check its address, and that of its region.")
        if code.startswith(_BAD_CREDENTIALS):
            _clients.clear()  # others may be there by the next time
            return ConfigurationError(f"The credentials for {url} were refused ({said}). {_CREDENTIALS}")
        if status >= 500 or status == 429 or "Throttl" in code:
            return SourceUnavailableError(f"{url} cannot be read at the moment ({said}). Try again later.")
        if status == 403 or "AccessDenied" in code:
            return InvalidRequestError(
                f"Access to {url} is denied ({said}). These credentials need sqs:ReceiveMessage and sqs:DeleteMessage on the "
                "queue, and kms:Decrypt where it is encrypted with a key of your own."
            )
        return InvalidRequestError(f"{url} cannot be read ({said}). Check the address.")
    if isinstance(error, (exceptions.HTTPClientError, exceptions.ConnectionError)):
        return SourceUnavailableError(
            f"{url} does not answer: {error}. Check the network, or try again later."
        )
    if isinstance(error, exceptions.NoCredentialsError):
        return ConfigurationError(f"{url} cannot be read: there are no credentials. {_CREDENTIALS}")
    return ConfigurationError(
        f"{url} cannot be read: {error}. Check STT_S3_REGION, STT_S3_PROFILE and the credentials."
    )
