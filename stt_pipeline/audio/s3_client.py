"""The client of boto3 for S3, and what its errors mean to who runs the product. No listing and no reading here."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any

from stt_pipeline.audio.uris import bucket_and_key
from stt_pipeline.errors import ConfigurationError, InvalidRequestError, SourceUnavailableError, SttError
from stt_pipeline.settings import Settings

PARALLEL_LISTINGS = 8
"""Parallel requests for pages of one listing."""

# standard mode waits a random part of 1, 2, 4, ... seconds in between, at most 20: about half a minute before it gives up
_ATTEMPTS = 8
_CONNECT_SECONDS = 10
_READ_SECONDS = 60
# where somebody waits for the answer, an error after half a minute is better than one after many
_ATTEMPTS_FOR_SOMEBODY = 2
_SECONDS_FOR_SOMEBODY = 8
_CONNECTIONS = 2 * PARALLEL_LISTINGS

_BAD_CREDENTIALS = frozenset(
    {
        *(
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "InvalidToken",
            "ExpiredToken",
            "TokenRefreshRequired",
        ),
        *("InvalidClientTokenId", "UnrecognizedClientException", "NotSignedUp", "InvalidSecurity"),
        *("ExpiredTokenException", "RequestExpired", "MissingSecurityHeader"),
    }
)
_WRONG_REGION = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301", "307"}
)
_SLOW = frozenset({"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "RequestTimeout"})
_CREDENTIALS = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or STT_S3_PROFILE, or run where a role is given; expired ones "
    "are to be renewed."
)


class S3Client:
    """A client of boto3 that is made when it is first asked for, and once: threads may share it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._client: Any = None

    def __call__(self) -> Any:
        """Return the client.

        Raises:
            ConfigurationError: it cannot be made of the settings.
        """
        with self._lock:
            if self._client is None:
                with s3_errors("S3"):
                    self._client = self._make()
                _read_times_quickly(self._client)
            return self._client


def client_of(settings: Settings, *, somebody_waits: bool = False) -> Any:
    """Return a new client (botocore's, as boto3 makes them) by the STT_S3_* variables, and else as every AWS tool has it.

    Args:
        somebody_waits: give up soon.

    Raises:
        ConfigurationError: there is no such profile, or an address is not one.
    """
    from botocore.config import Config
    from botocore.session import Session

    if "@" in settings.s3_endpoint_url:
        # not shown: it would end up in a log
        raise ConfigurationError(
            "STT_S3_ENDPOINT_URL has a user or password in it: leave them out, as in http://127.0.0.1:9000. "
            + _CREDENTIALS
        )
    with s3_errors("S3"):
        # a session of its own, as boto3 makes one: making clients from a shared one is not safe with threads
        session = Session(profile=settings.s3_profile or None)
        session.register_component("data_loader", _aws_data())
        return session.create_client(
            "s3",
            endpoint_url=settings.s3_endpoint_url or None,
            region_name=settings.s3_region or None,
            config=Config(
                retries={
                    "mode": "standard",
                    "total_max_attempts": _ATTEMPTS_FOR_SOMEBODY if somebody_waits else _ATTEMPTS,
                },
                connect_timeout=_SECONDS_FOR_SOMEBODY if somebody_waits else _CONNECT_SECONDS,
                read_timeout=_SECONDS_FOR_SOMEBODY if somebody_waits else _READ_SECONDS,
                max_pool_connections=_CONNECTIONS,
            ),
        )


@cache
def _aws_data() -> Any:
    """Return what reads AWS's description of S3, which takes most of the time of making a client: once a process."""
    from botocore.loaders import create_loader

    return create_loader()


def _read_times_quickly(client: Any) -> None:
    """Have a client read times of the form that S3 lists: guessing their form takes botocore most of a listing's time.

    Sessions have a public way to say so, before they make clients; this one serves Dagster's resource as well, and where
    botocore has changed, times are read as slowly as ever.
    """
    from botocore.utils import parse_timestamp

    def time_of(value: Any) -> datetime:
        try:
            return datetime.fromisoformat(value)
        except (AttributeError, TypeError, ValueError):
            guessed: datetime = parse_timestamp(value)
            return guessed

    endpoint = getattr(client, "_endpoint", None)
    if factory := getattr(endpoint, "_response_parser_factory", None):
        factory.set_parser_defaults(timestamp_parser=time_of)


@contextmanager
def s3_errors(place: str) -> Iterator[None]:
    """Turn the errors of boto3 into the product's own.

    Args:
        place: address of the bucket's prefix that was asked for, for the message.

    Raises:
        ConfigurationError: credentials, region or endpoint are wrong, or the client cannot be made.
        InvalidRequestError: no such bucket, or these credentials may not do this.
        SourceUnavailableError: no answer, or S3 asked to come back later, also after the client's own retries.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise explanation(error, place) from error
    except ValueError as error:  # how botocore says that an endpoint is not an address
        if "endpoint" not in str(error):
            raise
        raise ConfigurationError(
            f"{error}. Write STT_S3_ENDPOINT_URL as in http://127.0.0.1:9000."
        ) from error


def look_up(client: Any, uri: str) -> dict[str, Any]:
    """Return ETag, LastModified and ContentLength of an object, as boto3 gives them.

    Raises:
        ClientError: as boto3 raises it, with S3's own code. (The answer to a HEAD has no body that could say it.)
    """
    from botocore.exceptions import ClientError

    bucket, key = bucket_and_key(uri)
    answer: dict[str, Any]
    try:
        answer = client.head_object(Bucket=bucket, Key=key)
    except ClientError:
        answer = client.get_object(Bucket=bucket, Key=key)
        answer["Body"].close()
    return answer


def answer_of(error: BaseException | None) -> tuple[str, int]:
    """Return S3's code and the HTTP status of an error of boto3; ("", 0) where it is not an answer of a server."""
    response = getattr(error, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", ""))
    return code, int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)


def explanation(error: Exception, place: str) -> SttError:
    """Return what an error of boto3, or of what else stands on botocore, means and what to do.

    Args:
        place: what was asked for.
    """
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    code, status = answer_of(error)
    if not status and not code:
        if isinstance(error, ResponseParserError):
            return ConfigurationError(
                f"{place}: what answers does not speak S3. Check STT_S3_ENDPOINT_URL ({error})."
            )
        if isinstance(error, exceptions.ParamValidationError):
            return InvalidRequestError(f"{place} cannot be asked for: {error}")
        if isinstance(error, (exceptions.HTTPClientError, exceptions.ConnectionError)):
            return SourceUnavailableError(
                f"{place} does not answer: {error}. Check the network and STT_S3_ENDPOINT_URL, or try again later."
            )
        if isinstance(error, exceptions.NoCredentialsError):
            return ConfigurationError(f"{place} cannot be opened: there are no credentials. {_CREDENTIALS}")
        return ConfigurationError(f"{place} cannot be opened: {error}. {_CREDENTIALS}")
    said = f"{code}: {_message(error)}" if _message(error) else code
    if getattr(error, "operation_name", "").startswith(("Assume", "GetRole", "GetFederation")):
        return ConfigurationError(f"The role for {place} cannot be taken ({said}). Check STT_S3_PROFILE.")
    if code in _WRONG_REGION or status in (301, 307):
        return ConfigurationError(
            f"{place} is in another region or at another endpoint ({said}). Set STT_S3_REGION to the bucket's region, and "
            "check STT_S3_ENDPOINT_URL."
        )
    if code in _BAD_CREDENTIALS:
        return ConfigurationError(f"The credentials for {place} were refused ({said}). {_CREDENTIALS}")
    if code == "RequestTimeTooSkewed":
        return ConfigurationError(f"This machine's clock is wrong, so S3 refuses {place} ({said}). Set it.")
    if code in _SLOW or status >= 500 or status == 429:
        return SourceUnavailableError(f"{place} cannot be read at the moment ({said}). Try again later.")
    if code.isdigit() and not getattr(error, "operation_name", "").startswith("Head"):
        # S3 gives its own code in each body; this is the mere status
        return ConfigurationError(
            f"{place}: what answers does not speak S3 ({said}). Check STT_S3_ENDPOINT_URL and proxies."
        )
    if code == "NoSuchBucket":
        return InvalidRequestError(f"There is no bucket of this name: {place}. Check its spelling.")
    if code == "InvalidObjectState":
        return InvalidRequestError(
            f"{place} is archived in S3 ({said}). Restore it there first, then try again."
        )
    if status == 403:
        return InvalidRequestError(
            f"Access to {place} is denied ({said}). It may well exist: these credentials need s3:ListBucket on the bucket "
            "and s3:GetObject on its objects."
        )
    return InvalidRequestError(f"{place} cannot be read ({said}). Check the address.")


def _message(error: Exception) -> str:
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Message", "")).strip().rstrip(".")
