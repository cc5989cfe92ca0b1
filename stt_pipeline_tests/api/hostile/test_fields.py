"""Invalid values of the fields of a batch, a change and a watch."""

import json
from typing import Any

import pytest

from stt_pipeline_tests.api.hostile.target import (
    BATCHES,
    JSON,
    ONE,
    WATCHES,
    Target,
    assert_rejected,
    body_of,
)

PATTERNS = [
    *(
        "../*",
        "/etc/*",
        "**/../*",
        "..\\*",
        "a\0b",
        "a\nb",
        "\u2028",
        "**.wav",
        "*.{mp3,wav}",
        "[[:alpha:]]*",
    ),
    *("*" * 2_001, ",".join(["*"] * 150), "[z-a](?!)"),
]
EMAILS = [
    *(
        "",
        "kim",
        "kim@example.com\r\nBcc: all@example.com",
        "kim@example.com\nlee@example.com",
        "kim@example.com\0",
    ),
    *(
        "Kim <kim@example.com>",
        "a@b.com,c@d.com",
        "a@b.com;c@d.com",
        "kim@[127.0.0.1]",
        "x" * 65 + "@example.com",
        "x" * 400,
    ),
    *(
        "kim\u202e@example.com",
        "김@example.com",
        "=?utf-8?q?lee=40example.net=2c?=@example.com",
        "kim@-",
        "kim@example.com%0aBcc:x",
    ),
]
NAMES = ["\0", "a\0b", "\x1b[31mred", "\u202etxt.exe", "\u200b", "x" * 201, "\ue000", "\x85\x07", "a\u2066b"]
OPTIONS: list[Any] = [
    *(
        {"model": "a\0"},
        {"model": "x" * 301},
        {"language": "x" * 21},
        {"hotwords": "x" * 2_001},
        {"hotwords": "\x1b]0;"},
    ),
    *(
        {"min_speakers": 0},
        {"max_speakers": 51},
        {"max_speakers": 1e400},
        {"max_speakers": -1},
        {"max_speakers": "many"},
    ),
    *(
        {"min_speakers": 3, "max_speakers": 2},
        {"diarizer": "evil"},
        {"__class__": "x"},
        {"mail": "maybe"},
        {"mail_again": "maybe"},
        [],
        "x",
        7,
    ),
]
PARTS: list[tuple[str, Any]] = [
    *(("file_pattern", value) for value in PATTERNS),
    *(("notify_emails", [value]) for value in EMAILS),
    *(("name", value) for value in NAMES),
    *(("options", value) for value in OPTIONS),
    *(("priority", value) for value in ("urgent", "", None, 1, "high\0", ["high"], {"$gt": ""})),
    *(
        ("notify_emails", value)
        for value in ("kim@example.com", ["kim@example.com"] * 51, [None], [["a@b.com"]], {})
    ),
    *(("source_path", value) for value in (None, 7, [], {"a": 1}, True)),
    *((part, "x") for part in ("id", "status", "created_by", "total_files", "__proto__", "allowed", "\0")),
]


@pytest.mark.parametrize(("part", "value"), PARTS, ids=lambda value: ascii(value)[:30])
def test_fields_of_a_batch(target: Target, part: str, value: Any) -> None:
    body = json.dumps(body_of(part, value, target)).encode()
    assert_rejected(target, target.send("POST", BATCHES, content=body, headers=JSON), 422)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        *(("notify_emails", [value]) for value in EMAILS),
        *(("name", value) for value in [*NAMES, "", " ", "\n"]),
        *(("action", value) for value in ("delete", "", "pause; resume", ["pause"], 1)),
        *(("priority", value) for value in ("urgent", 1)),
        *((part, "x") for part in ("status", "id", "source_path", "options", "created_by", "file_pattern")),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_fields_of_a_change(target: Target, part: str, value: Any) -> None:
    body = json.dumps({part: value}).encode()
    assert_rejected(target, target.send("PUT", ONE, content=body, headers=JSON), 422)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        *(
            ("queue_url", f"http://{host}/1/q")
            for host in ("169.254.169.254", "localhost:5432", "[::1]", "2130706433")
        ),
        *(
            ("queue_url", value)
            for value in ("file:///etc/passwd", "gopher://127.0.0.1/1/q", "\0", "//sqs/1/q", 7, None)
        ),
        ("queue_url", "https://sqs.us-east-1.amazonaws.com@127.0.0.1/1/q"),
        ("queue_url", "https://sqs.us-east-1.amazonaws.com/1/q\r\nHost: evil"),
        *(("batching", value) for value in ("hourly", "", None, 1)),
        *(("new_only", value) for value in ("perhaps", 2, None, [])),
        *(("name", value) for value in [*NAMES, "x" * 171]),
        *((part, "x") for part in ("id", "since", "look_back", "sweep", "error", "files", "created_by")),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_fields_of_a_watch(target: Target, part: str, value: Any) -> None:
    body = json.dumps(body_of(part, value, target)).encode()
    assert_rejected(target, target.send("POST", WATCHES, content=body, headers=JSON), 422)
