"""The S3 client. Its errors are mapped in ``aws_errors``; listing is in ``s3_listing``."""

import threading
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from stt_pipeline.audio.aws_errors import S3, aws_errors
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings

PARALLEL_LISTINGS = 8
"""Parallel requests for pages of one listing."""

# retries in standard mode wait a random part of 1, 2, 4, ... seconds, at most 20: about half a minute until the client gives up
_ATTEMPTS = 8
_CONNECT_SECONDS = 10
_READ_SECONDS = 60
# when a user waits for the answer
_INTERACTIVE_ATTEMPTS = 2
_INTERACTIVE_SECONDS = 8
_CONNECTIONS = 2 * PARALLEL_LISTINGS


class S3Client:
    """Makes a client of boto3 on first use, once; threads can share it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._client: Any = None

    def __call__(self) -> Any:
        """Return the client.

        Raises:
            ConfigurationError: the settings are not valid.
        """
        with self._lock:
            if self._client is None:
                with aws_errors("S3", S3):
                    self._client = self._make()
                _parse_times_fast(self._client)
            return self._client


def create_client(settings: Settings, *, interactive: bool = False) -> Any:
    """Return a new client (botocore's, as boto3 makes them) with the STT_S3_* settings and the AWS credential chain.

    Args:
        interactive: give up within seconds, because a user waits.

    Raises:
        ConfigurationError: the profile does not exist, or the endpoint is not valid.
    """
    from botocore.config import Config
    from botocore.session import Session

    if "@" in settings.s3_endpoint_url:
        # the address is not shown: it would end up in a log
        raise ConfigurationError(
            "STT_S3_ENDPOINT_URL has a user or password in it: remove it, as in http://127.0.0.1:9000. Set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or STT_S3_PROFILE."
        )
    with aws_errors("S3", S3):
        # a new session, as boto3 makes one: it is not thread-safe to make clients from a shared session
        session = Session(profile=settings.s3_profile or None)
        session.register_component("data_loader", _aws_data())
        seconds = (_INTERACTIVE_SECONDS,) * 2 if interactive else (_CONNECT_SECONDS, _READ_SECONDS)
        return session.create_client(
            "s3",
            endpoint_url=settings.s3_endpoint_url or None,
            region_name=settings.s3_region or None,
            config=Config(
                retries={
                    "mode": "standard",
                    "total_max_attempts": _INTERACTIVE_ATTEMPTS if interactive else _ATTEMPTS,
                },
                connect_timeout=seconds[0],
                read_timeout=seconds[1],
                max_pool_connections=_CONNECTIONS,
            ),
        )


@cache
def _aws_data() -> Any:
    """Return the loader of AWS's service descriptions: reading them is most of the time of making a client."""
    from botocore.loaders import create_loader

    return create_loader()


def _parse_times_fast(client: Any) -> None:
    """Set a parser for the times of listings: botocore guesses the format, which is most of the time of a listing.

    Sessions have a public option for this, but it must be set before they make clients, and Dagster's resource makes its own.
    If botocore changes these private names, times are parsed slowly again.
    """
    from botocore.utils import parse_timestamp

    def parse(value: Any) -> datetime:
        try:
            return datetime.fromisoformat(value)
        except (AttributeError, TypeError, ValueError):
            guessed: datetime = parse_timestamp(value)
            return guessed

    endpoint = getattr(client, "_endpoint", None)
    if factory := getattr(endpoint, "_response_parser_factory", None):
        factory.set_parser_defaults(timestamp_parser=parse)


def head_object(client: Any, bucket: str, key: str) -> dict[str, Any]:
    """Return ETag, LastModified and ContentLength of an object, as boto3 gives them.

    Raises:
        ClientError: with S3's own code. The response to a HEAD has no body for the code, so a GET follows a failed HEAD.
    """
    from botocore.exceptions import ClientError

    answer: dict[str, Any]
    try:
        answer = client.head_object(Bucket=bucket, Key=key)
    except ClientError:
        answer = client.get_object(Bucket=bucket, Key=key)
        answer["Body"].close()
    return answer
