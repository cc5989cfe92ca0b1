"""SQS queues on a real SQS-compatible server: receiving, deleting, and the messages of errors."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from stt_pipeline.audio.sqs import AWS_QUEUES, Message, QueueAccess, QueueClients
from stt_pipeline.errors import ConfigurationError, InvalidRequestError, SourceUnavailableError
from stt_pipeline.settings import Settings


@pytest.fixture
def access(aws: str) -> QueueAccess:
    return QueueAccess((aws,), "us-east-1", clients=QueueClients(attempts=1))


@pytest.fixture
def client(aws: str) -> Any:
    import boto3

    return boto3.client("sqs")


@pytest.fixture
def queue_url(client: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    url = client.create_queue(
        QueueName=f"queue-{time.monotonic_ns()}", Attributes={"VisibilityTimeout": "600"}
    )
    yield url["QueueUrl"]
    client.delete_queue(QueueUrl=url["QueueUrl"])


def deliver_again(client: Any, queue_url: str, message: Message) -> None:
    """End the visibility timeout of a message now."""
    client.change_message_visibility(QueueUrl=queue_url, ReceiptHandle=message.receipt, VisibilityTimeout=0)


@pytest.mark.slow
def test_messages_are_delivered_until_they_are_deleted(
    access: QueueAccess, client: Any, queue_url: str
) -> None:
    for number in range(12):
        client.send_message(QueueUrl=queue_url, MessageBody=f"body {number}")
    queue = access.open(queue_url)
    first, second = queue.receive(1), queue.receive()
    assert (len(first), len(second), queue.receive()) == (10, 2, [])
    assert {one.body for one in first + second} == {f"body {number}" for number in range(12)}
    assert {one.receives for one in first} == {1}
    assert queue.delete(first + second[:1]) == []
    deliver_again(client, queue_url, second[1])
    (again,) = queue.receive(20)
    assert (again.id, again.receives) == (second[1].id, 2)


@pytest.mark.slow
def test_receiving_waits_for_a_message_and_no_longer(
    access: QueueAccess, client: Any, queue_url: str
) -> None:
    queue = access.open(queue_url)
    started = time.monotonic()
    assert queue.receive(1) == []
    assert time.monotonic() - started > 0.9
    client.send_message(QueueUrl=queue_url, MessageBody="here")
    started = time.monotonic()
    assert len(queue.receive(20)) == 1
    assert time.monotonic() - started < 20  # less than the whole wait


def test_a_failed_deletion_names_its_message_and_the_others_are_deleted(
    access: QueueAccess, client: Any, queue_url: str
) -> None:
    for number in range(3):
        client.send_message(QueueUrl=queue_url, MessageBody=str(number))
    queue = access.open(queue_url)
    one, two, three = queue.receive(1)
    unknown = Message(two.id, two.body, "no such receipt", 1)
    (failed,) = queue.delete([one, unknown, three])
    assert failed.startswith(f"message {two.id}: ")
    for message in (one, two, three):
        with suppress(client.exceptions.ClientError):  # two of them are deleted
            deliver_again(client, queue_url, message)
    assert [message.id for message in queue.receive(20)] == [two.id]
    assert queue.receive() == []


@pytest.mark.parametrize(
    "url",
    [
        "https://sqs.ap-northeast-2.amazonaws.com/123456789012/recordings",
        "https://sqs.us-gov-west-1.amazonaws.com/123456789012/recordings.fifo",
        "https://sqs-fips.us-east-1.amazonaws.com/1/q",
        "https://sqs.cn-north-1.amazonaws.com.cn/1/q",
        "https://sqs.eu-central-1.api.aws/1/q",
        "https://eu-west-1.queue.amazonaws.com/1/q",
        "https://vpce-0a1b-2c3d.sqs.us-east-1.vpce.amazonaws.com/1/q",
        "http://127.0.0.1:4566/000000000000/q",
    ],
)
def test_queues_of_aws_and_of_configured_servers_are_allowed(url: str) -> None:
    QueueAccess.of(Settings(sqs_endpoints="http://127.0.0.1:4566/, https://mq.example.com")).check(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:4567/1/q",
        "https://127.0.0.1:4566/1/q",
        "http://127.0.0.1:4566@evil.example/1/q",
        "http://sqs.us-east-1.amazonaws.com/1/q",  # would show the credentials' token on the way
        "https://sqs.us-east-1.amazonaws.com:8443/1/q",
        "https://user@sqs.us-east-1.amazonaws.com/1/q",
        "https://sqs.us-east-1.amazonaws.com.evil.example/1/q",
        "https://ec2-1-2-3-4.us-east-1.compute.amazonaws.com/1/q",
        "https://sqs.us-east-1.s3.amazonaws.com/1/q",
        "https://sqs.us-east-1.amazonaws.com/",
        "https://sqs.us-east-1.amazonaws.com/1/q?Action=DeleteQueue",
        "https://sqs.us-east-1.amazonaws.com/1/q#part",
        "https://sqs.us-east-1.amazonaws.com/1/큐",
        "https://[::1/1/q",
        "https://sqs.us-east-1.amazonaws.com/1/" + "q" * 1_000,
        "recordings",
        "",
    ],
)
def test_other_queue_addresses_are_refused(url: str) -> None:
    access = QueueAccess.of(Settings(sqs_endpoints="http://127.0.0.1:4566"))
    with pytest.raises(InvalidRequestError, match=r"not the address of a queue|are not allowed"):
        access.check(url)
    with pytest.raises(InvalidRequestError):
        access.open(url)


@pytest.mark.parametrize("endpoints", ["127.0.0.1:4566", "http://host/path", "ftp://host", "http://a@host"])
def test_an_invalid_endpoint_setting_is_refused(endpoints: str) -> None:
    with pytest.raises(ConfigurationError, match="STT_SQS_ENDPOINTS"):
        QueueAccess.of(Settings(sqs_endpoints=endpoints))


def test_the_region_of_a_queue_is_that_of_its_address(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")

    class Requested(QueueClients):
        def get(self, *key: str | None) -> Any:
            made.append(super().get(*key))
            return made[-1]

    made: list[Any] = []
    access = QueueAccess(region="eu-west-1", clients=Requested())
    access.open("https://sqs.ap-northeast-2.amazonaws.com/1/q")
    access.open("https://vpce-0a.sqs.us-west-2.vpce.amazonaws.com/1/q")
    assert [client.meta.endpoint_url for client in made] == [
        "https://sqs.ap-northeast-2.amazonaws.com",
        "https://vpce-0a.sqs.us-west-2.vpce.amazonaws.com",
    ]
    assert [client.meta.region_name for client in made] == ["ap-northeast-2", "us-west-2"]


def test_errors_without_an_answer_say_what_to_do(
    access: QueueAccess, aws: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidRequestError, match=r"The queue .* does not exist"):
        access.open(f"{aws}/123456789012/nowhere").receive()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(SourceUnavailableError, match="does not answer"):
            QueueAccess((address,), clients=QueueClients(attempts=1)).open(f"{address}/1/q").receive()
    with pytest.raises(ConfigurationError, match="profile"):
        QueueAccess(profile="nobody").open("https://sqs.us-east-1.amazonaws.com/1/q")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    access.clients.clear()
    with pytest.raises(ConfigurationError, match="no credentials"):
        access.open(f"{aws}/123456789012/nowhere").receive()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "status", "kind", "words"),
    [
        ("AccessDeniedException", 400, InvalidRequestError, "sqs:ReceiveMessage"),
        ("AccessDenied", 403, InvalidRequestError, "sqs:DeleteMessage"),
        ("InvalidClientTokenId", 403, ConfigurationError, "credentials .* were refused"),
        ("ExpiredTokenException", 400, ConfigurationError, "credentials .* were refused"),
        ("ServiceUnavailable", 503, SourceUnavailableError, "Try again later"),
        ("ThrottlingException", 400, SourceUnavailableError, "Try again later"),
        ("KmsThrottled", 400, SourceUnavailableError, "Try again later"),
        ("InvalidAddress", 400, InvalidRequestError, "Check the address"),
    ],
)
def test_errors_of_sqs_say_what_to_do(
    access: QueueAccess, aws: str, code: str, status: int, kind: type[Exception], words: str
) -> None:
    from botocore.stub import Stubber

    queue = access.open(f"{aws}/1/q")
    client = access.clients.get(None, "us-east-1", aws)
    with Stubber(client) as answers:
        answers.add_client_error("receive_message", code, "no", status)
        with pytest.raises(kind, match=words):
            queue.receive()
    assert AWS_QUEUES.endpoints == ()


def test_refused_credentials_are_read_again(access: QueueAccess, aws: str) -> None:
    from botocore.stub import Stubber

    queue = access.open(f"{aws}/1/q")
    client = access.clients.get(None, "us-east-1", aws)
    with Stubber(client) as answers:
        answers.add_client_error("receive_message", "ExpiredToken", "no", 403)
        with pytest.raises(ConfigurationError):
            queue.receive()
    assert access.clients.get(None, "us-east-1", aws) is not client
