"""Event notifications of S3 in every shape that reaches a queue."""

import json
import unicodedata
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import pytest

from stt_pipeline.audio.s3_events import arrivals, latest
from stt_pipeline.errors import InvalidRequestError

ODD_KEYS = (
    "2026/주간 회의.m4a",
    unicodedata.normalize("NFD", "2026/주간 회의.m4a"),
    "a+b c%20d%.wav",
    "emoji 🎧/녹음?#.mp3",
    "quote'\"&=.wav",
    "../up/./here.wav",
    "//double//slash.wav",
)


def record(key: str, event: str = "ObjectCreated:Put", **values: Any) -> dict[str, Any]:
    """What S3 writes about an object."""
    about = {
        "key": quote_plus(key, safe="/"),
        "size": 1024,
        "eTag": "d41d8cd98f00b204e9800998ecf8427e",
        **values,
    }
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "ap-northeast-2",
        "eventTime": "2026-03-01T01:02:03.456Z",
        "eventName": event,
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": "recordings"}, "object": about},
    }


def event(key: str, kind: str = "Object Created") -> dict[str, Any]:
    """What EventBridge writes about it."""
    return {
        "version": "0",
        "detail-type": kind,
        "source": "aws.s3",
        "time": "2026-03-01T01:02:03Z",
        "detail": {
            "bucket": {"name": "recordings"},
            "object": {"key": key, "size": 5, "etag": "abc-2", "sequencer": "00617F08299329D189"},
        },
    }


def _uris(message: dict[str, Any]) -> list[str]:
    return [arrival.found.uri for arrival in arrivals(json.dumps(message))]


def test_keys_are_decoded_for_each_sender() -> None:
    expected = [f"s3://recordings/{key}" for key in ODD_KEYS]
    direct = {"Records": [record(key) for key in ODD_KEYS]}
    assert _uris(direct) == expected
    assert _uris({"Type": "Notification", "Message": json.dumps(direct)}) == expected
    assert [_uris(event(key)) for key in ODD_KEYS] == [[uri] for uri in expected]
    assert _uris({"Type": "Notification", "Message": json.dumps(event("a b+c%20.wav"))}) == [
        "s3://recordings/a b+c%20.wav"
    ]
    # as listings show it
    assert _uris({"Records": [record("nul\0.wav")]}) == ["s3://recordings/nul\ufffd.wav"]


def test_objects_have_the_values_of_a_listing() -> None:
    (of_record,) = arrivals(json.dumps({"Records": [record("a.wav", eTag='"abc-7"', sequencer="0A")]}))
    assert (of_record.found.size, of_record.found.etag, of_record.sequencer) == (1024, "abc-7", "0A")
    assert of_record.found.modified_at == datetime(2026, 3, 1, 1, 2, 3, 456_000, UTC)
    (of_event,) = arrivals(json.dumps(event("a.wav")))
    assert (of_event.found.size, of_event.found.etag) == (5, "abc-2")
    assert of_event.found.modified_at == datetime(2026, 3, 1, 1, 2, 3, tzinfo=UTC)


def test_only_created_objects_are_returned() -> None:
    kinds = ("Put", "Post", "Copy", "CompleteMultipartUpload")
    records = [record(f"{kind}.wav", f"ObjectCreated:{kind}") for kind in kinds]
    records += [record("of minio.wav", "s3:ObjectCreated:Put"), record("folder/")]
    gone = [record("gone.wav", name) for name in ("ObjectRemoved:Delete", "ObjectRestore:Completed")]
    for one in gone:
        del one["s3"]["object"]["size"]  # nothing was left of it
    names = [uri.rsplit("/", 1)[1] for uri in _uris({"Records": records + gone})]
    assert names == [*(f"{kind}.wav" for kind in kinds), "of minio.wav"]
    assert _uris({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "recordings"}) == []
    assert _uris(event("gone.wav", "Object Deleted")) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ('{"hello": "world"}', "neither Records nor"),
        ('{"Type": "Notification", "Message": "Your disk is full"}', "not JSON"),
        ('{"Records": ["?"]}', "record without an eventName"),
        ('{"Records": [{"eventName": "ObjectCreated:Put"}]}', "eventTime: Field required"),
        (json.dumps({"Records": [record("a.wav", size=-1)]}), "size: Input should be greater"),
        (json.dumps({"Records": [record("a.wav", size=1 << 63)]}), "size: Input should be less"),
        (json.dumps({"Records": [record("a.wav", eTag="")]}), "eTag"),
        (json.dumps({"Records": [record("a.wav", eTag="a\0")]}), "eTag"),
        (json.dumps({"Records": [record("a" * 1025)]}), "1,025 bytes"),
        (json.dumps(event("\ud800.wav")), "unicode string"),
        (json.dumps({"Records": [record("a.wav")]}).replace("recordings", "user:word@host"), "bucket.name"),
        (json.dumps({"Records": [record("a.wav")]}).replace("2026-03-01T", "yesterday "), "eventTime"),
        (json.dumps({"Records": [record("a.wav")]}).replace("2026-03-01T", "0001-01-01T"), "year 1"),
        (
            json.dumps({"Records": [record("a.wav")]}).replace(
                "2026-03-01T01:02:03.456Z", "9999-12-31T23:59:59-10:00"
            ),
            "not valid in UTC",
        ),
        # one bad record makes the message bad: whoever wrote it is not S3
        (json.dumps({"Records": [record("a.wav"), {}]}), "record without an eventName"),
    ],
)
def test_other_messages_are_refused(body: str, words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        arrivals(body)


def test_the_latest_content_of_an_address_is_kept() -> None:
    def told(*contents: tuple[str, str, str]) -> list[tuple[str, str]]:
        records = [record(key, eTag=etag, sequencer=sequencer) for key, etag, sequencer in contents]
        found = latest(arrivals(json.dumps({"Records": records})))
        return [(each.uri.rsplit("/", 1)[1], each.etag) for each in found]

    assert told(("a", "new", "00B0"), ("b", "one", "01"), ("a", "old", "00A9FF")) == [
        ("a", "new"),
        ("b", "one"),
    ]
    assert told(("a", "old", "00A"), ("a", "new", "00A01")) == [("a", "new")]
    assert told(("a", "same", "0A"), ("a", "same", "0a")) == [("a", "same")]
    # events without a sequencer have no order
    assert told(("a", "one", ""), ("a", "two", "")) == [("a", "one"), ("a", "two")]
