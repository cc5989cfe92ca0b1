"""The errors of AWS services (S3 and SQS), mapped to the product's errors with a message that says what to do.

The codes are those of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from stt_pipeline.errors import ConfigurationError, InvalidRequestError, SourceUnavailableError, SttError

_BAD_CREDENTIALS = frozenset(
    [
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "MissingSecurityHeader",
        "NotSignedUp",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
    ]
)
_WRONG_REGION = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301", "307"}
)
_SLOW = frozenset({"SlowDown", "RequestLimitExceeded", "RequestTimeout"})
_CREDENTIALS = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or STT_S3_PROFILE, or run on a machine with a role. Renew expired "
    "credentials."
)


@dataclass(frozen=True, slots=True)
class AwsService:
    """The parts of messages that differ between AWS services.

    Attributes:
        endpoint: the setting that names its server.
        region: what to do about a wrong region.
        permissions: what to do when access is denied.
        missing: message by code for what does not exist; ``{place}`` is replaced.
    """

    name: str
    endpoint: str
    region: str
    permissions: str
    missing: dict[str, str]


S3 = AwsService(
    "S3",
    endpoint="STT_S3_ENDPOINT_URL",
    region="Set STT_S3_REGION to the bucket's region, and check STT_S3_ENDPOINT_URL.",
    permissions="It may well exist: these credentials need s3:ListBucket on the bucket and s3:GetObject on its objects.",
    missing={"NoSuchBucket": "The bucket does not exist: {place}. Check its spelling."},
)
_NO_QUEUE = "The queue {place} does not exist. Check its address and its region."
SQS = AwsService(
    "SQS",
    endpoint="STT_SQS_ENDPOINTS",
    region="Check the queue's address.",
    permissions="These credentials need sqs:ReceiveMessage and sqs:DeleteMessage on the queue, and kms:Decrypt if it is "
    "encrypted with your own key.",
    missing={"NonExistentQueue": _NO_QUEUE, "QueueDoesNotExist": _NO_QUEUE},
)


@contextmanager
def aws_errors(place: str, service: AwsService) -> Iterator[None]:
    """Turn the errors of boto3 into the product's own.

    Args:
        place: address of the bucket, prefix, object or queue, for the message.

    Raises:
        ConfigurationError: credentials, region or endpoint are wrong, or the client cannot be made.
        InvalidRequestError: no such bucket or queue, or access is denied.
        SourceUnavailableError: no answer, or the service is overloaded, after the client's own retries.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise explain(error, place, service) from error
    except ValueError as error:  # botocore's error for an invalid endpoint
        if "endpoint" not in str(error):
            raise
        raise ConfigurationError(f"{error}. Write {service.endpoint} as in http://127.0.0.1:9000.") from error


def error_code(error: BaseException | None) -> tuple[str, int]:
    """Return the service's code and the HTTP status of an error of boto3; ("", 0) if no server answered."""
    response = getattr(error, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", "")).rpartition(".")[
        2
    ]  # AWS.SimpleQueueService.NonExistentQueue
    return code, int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)


def has_bad_credentials(error: BaseException | None) -> bool:
    """Return whether an error of boto3 is a refusal of the credentials."""
    return error_code(error)[0] in _BAD_CREDENTIALS


def explain(error: Exception, place: str, service: AwsService = S3) -> SttError:
    """Return the product's error for an error of boto3, or of another library that is built on botocore."""
    code, status = error_code(error)
    if not status and not code:
        return _without_answer(error, place, service)
    message = _message(error)
    reason = f"{code}: {message}" if message else code
    operation = getattr(error, "operation_name", "")
    if operation.startswith(("Assume", "GetRole", "GetFederation")):
        return ConfigurationError(f"The role for {place} cannot be assumed ({reason}). Check STT_S3_PROFILE.")
    if code in _WRONG_REGION or status in (301, 307):
        return ConfigurationError(
            f"{place} is in another region or at another endpoint ({reason}). {service.region}"
        )
    if code in _BAD_CREDENTIALS:
        return ConfigurationError(f"The credentials for {place} were refused ({reason}). {_CREDENTIALS}")
    if code == "RequestTimeTooSkewed":
        return ConfigurationError(
            f"This machine's clock is wrong, so {service.name} refuses {place} ({reason}). Set the clock."
        )
    if code in _SLOW or "Throttl" in code or status >= 500 or status == 429:
        return SourceUnavailableError(f"{place} cannot be read at the moment ({reason}). Try again later.")
    if code.isdigit() and not operation.startswith("Head"):
        # the service has its own code in each body; a plain status comes from something else
        return _not_the_service(place, reason, service)
    return _refused(place, code, status, reason, service)


def _without_answer(error: Exception, place: str, service: AwsService) -> SttError:
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    if isinstance(error, ResponseParserError):
        return _not_the_service(place, error, service)
    if isinstance(error, exceptions.ParamValidationError):
        return InvalidRequestError(f"{place} is not a valid address: {error}")
    if isinstance(error, (exceptions.HTTPClientError, exceptions.ConnectionError)):
        return SourceUnavailableError(
            f"{place} does not answer: {error}. Check the network and {service.endpoint}, or try again later."
        )
    if isinstance(error, exceptions.NoCredentialsError):
        return ConfigurationError(f"{place} cannot be opened: there are no credentials. {_CREDENTIALS}")
    return ConfigurationError(f"{place} cannot be opened: {error}. {_CREDENTIALS}")


def _not_the_service(place: str, reason: object, service: AwsService) -> SttError:
    return ConfigurationError(
        f"{place}: the server does not speak {service.name} ({reason}). Check {service.endpoint} and proxies."
    )


def _refused(place: str, code: str, status: int, reason: str, service: AwsService) -> SttError:
    if code in service.missing:
        return InvalidRequestError(service.missing[code].format(place=place))
    if code == "InvalidObjectState":
        return InvalidRequestError(
            f"{place} is archived in S3 ({reason}). Restore it there first, then try again."
        )
    if status == 403 or "AccessDenied" in code:
        return InvalidRequestError(f"Access to {place} is denied ({reason}). {service.permissions}")
    return InvalidRequestError(f"{place} cannot be read ({reason}). Check the address.")


def _message(error: Exception) -> str:
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Message", "")).strip().rstrip(".")
