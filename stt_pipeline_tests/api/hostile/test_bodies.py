"""Bodies that are not JSON objects, are too large, or have a false length."""

from collections.abc import Iterator

import pytest

from stt_pipeline.api.middleware import MAX_BODY_BYTES
from stt_pipeline_tests.api.hostile.target import BATCHES, JSON, Target, assert_rejected

GOOD = b'{"source_path": "%s"'
BODIES: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "application/json"),
    ("null", b"null", "application/json"),
    ("a list", b"[]", "application/json"),
    ("a text", b'"file:///etc"', "application/json"),
    ("half", GOOD, "application/json"),
    ("two bodies", GOOD + b"}{}", "application/json"),
    ("the last of two keys counts", GOOD + b', "source_path": "/etc"}', "application/json"),
    ("deep lists", b"[" * 30_000, "application/json"),
    ("deep objects", b'{"a":' * 10_000, "application/json"),
    ("deep options", GOOD + b', "options": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001, "application/json"),
    ("a number of 5,000 digits", GOOD + b', "options": {"max_speakers": ' + b"9" * 5_000 + b"}}", "application/json"),
    ("no number", GOOD + b', "options": {"max_speakers": NaN}}', "application/json"),
    ("endless", GOOD + b', "options": {"max_speakers": -Infinity}}', "application/json"),
    ("not UTF-8", b'{"source_path": "\xff\xfe"}', "application/json"),
    ("UTF-16", '{"source_path": "/etc"}'.encode("utf-16"), "application/json"),
    ("half a character", b'{"source_path": "\\ud800"}', "application/json"),
    ("half a character in a name", GOOD + b', "name": "\\udfff"}', "application/json"),
    ("a NUL", b'{"source_path": "/data\\u0000"}', "application/json"),
    ("comments", GOOD + b"/* x */}", "application/json"),
    ("gzip", b"\x1f\x8b\x08\x00\x00", "application/json"),
    ("a form", b"source_path=/etc", "application/x-www-form-urlencoded"),
    ("parts", b'--x\r\nContent-Disposition: form-data; name="source_path"\r\n\r\n/etc\r\n--x--', "multipart/form-data; boundary=x"),
    ("xml", b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>', "application/xml"),
    ("json that says it is text", GOOD + b"}", "text/plain"),
    ("json without a type", GOOD + b"}", ""),
    ("too large", GOOD + b', "name": "' + b"x" * MAX_BODY_BYTES + b'"}', "application/json"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "content_type"), [item[1:] for item in BODIES], ids=[item[0] for item in BODIES]
)
def test_bodies(target: Target, body: bytes, content_type: str) -> None:
    body = body.replace(b"%s", str(target.folder).encode())
    headers = {"Content-Type": content_type} if content_type else {}
    answer = target.send("POST", BATCHES, content=body, headers=headers)
    assert_rejected(target, answer, 400, 413, 422)


def test_a_body_without_a_length(target: Target) -> None:
    def pieces() -> Iterator[bytes]:
        yield f'{{"source_path": "{target.folder}", "name": "'.encode()
        for _ in range(MAX_BODY_BYTES >> 10):
            yield b"x" * 1024
        yield b'"}'

    assert_rejected(target, target.send("POST", BATCHES, content=pieces(), headers=JSON), 413)


@pytest.mark.parametrize("length", ["-1", "1e3", "x", "9" * 30, "9" * 5_000, "1, 2", "+5", "\u00b2"])
def test_invalid_lengths(target: Target, length: str) -> None:
    headers = {**JSON, "Content-Length": length.encode("latin-1")}
    assert_rejected(target, target.send("POST", BATCHES, content=b"{}", headers=headers))
