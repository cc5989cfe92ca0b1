"""Parse S3 event notifications: the objects that were created in a bucket. How a message arrives is not known here.

Buckets send to SQS directly, through an SNS topic, or through EventBridge; S3-compatible servers use the same format.
The fields are those of AWS: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html.
"""

import json
from dataclasses import dataclass
from datetime import UTC
from typing import Annotated, Any
from urllib.parse import unquote_plus

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from stt_pipeline.audio.address import Address
from stt_pipeline.audio.sources import SourceObject
from stt_pipeline.errors import InvalidRequestError

_MAX_KEY_BYTES = 1_024  # of S3
_MIN_YEAR = 1970  # servers without a clock send the year 1
_CREATED = "ObjectCreated:"
_Size = Annotated[int, Field(ge=0, lt=1 << 63)]
_ETag = Annotated[str, Field(min_length=1, max_length=200, pattern=r'^[^\x00-\x20"]+$|^"[^\x00-\x20"]+"$')]
_Bucket = Annotated[str, Field(max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


@dataclass(frozen=True, slots=True)
class Arrival:
    """An object that was created or overwritten.

    Attributes:
        sequencer: orders the events of one address: the latest has the greatest, see `_is_later`. May be empty.
    """

    found: SourceObject
    sequencer: str


class _NamedBucket(BaseModel):
    name: _Bucket


class _Object(BaseModel):
    key: str = Field(min_length=1)
    size: _Size
    e_tag: _ETag = Field(alias="eTag")
    sequencer: str = ""


class _S3(BaseModel):
    bucket: _NamedBucket
    object: _Object


class _Record(BaseModel):
    at: AwareDatetime = Field(alias="eventTime")
    s3: _S3


class _EventObject(BaseModel):
    key: str = Field(min_length=1)
    size: _Size
    etag: _ETag
    sequencer: str = ""


class _Detail(BaseModel):
    bucket: _NamedBucket
    object: _EventObject


class _Event(BaseModel):
    at: AwareDatetime = Field(alias="time")
    detail: _Detail


def arrivals(body: str) -> list[Arrival]:
    """Return the created objects, with the values that a listing of the bucket has; folders (``name/``) are skipped.

    Raises:
        InvalidRequestError: the message is not an event notification of S3.
    """
    message = _parsed(body)
    if isinstance(message.get("Message"), str):  # from SNS, without raw message delivery
        message = _parsed(message["Message"])
    try:
        return [arrival for arrival in _arrivals(message) if not arrival.found.uri.endswith("/")]
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3])
        raise InvalidRequestError(f"The notification does not have the format of S3: {wrong}.") from error


def _parsed(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"The message is not JSON: {error}.") from error
    if not isinstance(message, dict):
        raise InvalidRequestError("The message is not an event notification of S3: it is not a JSON object.")
    return message


def _arrivals(message: dict[str, Any]) -> list[Arrival]:
    if message.get("Event") == "s3:TestEvent":  # sent when the notifications are set up
        return []
    if isinstance(records := message.get("Records"), list):
        return [_of_record(record) for record in records if _is_creation(record)]
    if message.get("source") == "aws.s3" and isinstance(kind := message.get("detail-type"), str):
        return [_of_event(message)] if kind == "Object Created" else []
    raise InvalidRequestError(
        "The message is not an event notification of S3: it has neither Records nor the detail-type of EventBridge. Send "
        "only the bucket's notifications to this queue."
    )


def _is_creation(record: Any) -> bool:
    name = record.get("eventName") if isinstance(record, dict) else None
    if not isinstance(name, str):
        raise InvalidRequestError("The notification has a record without an eventName.")
    return name.removeprefix("s3:").startswith(_CREATED)


def _of_record(record: Any) -> Arrival:
    read = _Record.model_validate(record)
    found = read.s3.object
    # only in these records keys are form-encoded
    return _arrival(
        read.s3.bucket.name, unquote_plus(found.key), found.size, found.e_tag, read.at, found.sequencer
    )


def _of_event(event: dict[str, Any]) -> Arrival:
    read = _Event.model_validate(event)
    found = read.detail.object
    return _arrival(read.detail.bucket.name, found.key, found.size, found.etag, read.at, found.sequencer)


def _arrival(bucket: str, key: str, size: int, etag: str, at: AwareDatetime, sequencer: str) -> Arrival:
    if (length := len(key.encode())) > _MAX_KEY_BYTES:
        raise InvalidRequestError(
            f"The notification has a key of {length:,} bytes, and S3 allows {_MAX_KEY_BYTES:,}."
        )
    if at.year < _MIN_YEAR:
        raise InvalidRequestError(f"The notification has the year {at.year}, before S3 existed.")
    try:
        modified_at = at.astimezone(UTC)
    except (OverflowError, ValueError) as error:  # the last hours of the year 9999, west of Greenwich
        raise InvalidRequestError(
            f"The notification has the time {at.isoformat()}, which is not valid in UTC."
        ) from error
    found = SourceObject(str(Address("s3", bucket, key)), size, etag.strip('"'), modified_at)
    return Arrival(found, sequencer)


def latest(found: list[Arrival]) -> list[SourceObject]:
    """Return the latest object of each address, in order. Events without a sequencer cannot be ordered: all are kept."""
    kept: dict[str, list[Arrival]] = {}
    for arrival in found:
        others = kept.setdefault(arrival.found.uri, [])
        if not arrival.sequencer:
            others.append(arrival)
            continue
        ordered = [other for other in others if other.sequencer]
        if all(_is_later(arrival.sequencer, other.sequencer) for other in ordered):
            kept[arrival.found.uri] = [other for other in others if not other.sequencer] + [arrival]
    return [arrival.found for one in kept.values() for arrival in one]


def _is_later(sequencer: str, than: str) -> bool:
    # hexadecimal; the shorter one is padded with zeros on the right
    length = max(len(sequencer), len(than))
    return sequencer.ljust(length, "0").upper() >= than.ljust(length, "0").upper()
