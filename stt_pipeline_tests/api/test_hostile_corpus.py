"""What people with bad intentions send: all of it is refused with a reason, and nothing is written.

Each table is a way in. The requests are read from top to bottom; a new trick is a new line.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, make_url, text

from stt_pipeline.api import keys
from stt_pipeline.api.app import create_app
from stt_pipeline.api.middleware import MAX_BODY_BYTES
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.settings import Settings
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database
from stt_pipeline_tests.api.conftest import ADMIN

BATCHES = f"{ADMIN}/stt-batches"
WATCHES = f"{ADMIN}/stt-watches"
ONE = f"{BATCHES}/1"
HIDING = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.wav"


@dataclass
class Target:
    """An app with one batch, on a database that all tests here share."""

    app: FastAPI
    database: Database
    folder: Path
    key: str
    revoked: str
    known: Sequence[tuple[str, int, str]] = ()

    def send(self, method: str, path: str, *, key: str | None = None, **wishes: Any) -> httpx.Response:
        """Send a request with an admin's key, or with another or none ("")."""
        headers = {"Authorization": f"Bearer {self.key if key is None else key}"} if key != "" else {}
        headers |= wishes.pop("headers", {})
        client = TestClient(self.app, raise_server_exceptions=False)
        return client.request(method, path, headers=headers, **wishes)

    def has_changed(self) -> bool:
        """Say whether a table holds something else than when this was last asked."""
        known, self.known = self.known, self._contents()
        return self.known != known

    def _contents(self) -> list[tuple[str, int, str]]:
        """Return what is in each table, but for the times at which keys were used."""
        with self.database.begin() as connection:
            tables = connection.scalars(
                text("SELECT tablename FROM pg_tables WHERE tablename LIKE 'stt\\_%' ORDER BY 1")
            ).all()
            each = (
                f"SELECT '{table}', count(*), md5(coalesce(string_agg({'id' if table == 'stt_api_keys' else 't'}::text, '|' "
                f"ORDER BY t::text), '')) FROM {table} t"
                for table in tables
            )
            return [tuple(row) for row in connection.execute(text(" UNION ALL ".join(each)))]  # type: ignore[misc]


@pytest.fixture(scope="module")
def target(embedded_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The product as it stands in the world, with an allowed folder and what lies around it."""
    root = tmp_path_factory.mktemp("hostile")
    for name in ("meetings", "meetings-old", "secret"):
        (root / name / "2026").mkdir(parents=True)
        (root / name / "2026" / HIDING).touch()
    (root / "meetings" / "link").symlink_to(root / "secret")
    engine = create_engine(embedded_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE hostile TEMPLATE template_stt"))
    database = Database(make_url(embedded_url).set(database="hostile").render_as_string(hide_password=False))
    settings = Settings(
        allowed_sources=f"{(root / 'meetings').as_uri()},s3://audio-files",
        api_rate_limit="100000/minute",
        _env_file=None,
    )  # type: ignore[call-arg]
    actor = Actor("tests")
    _, key = keys.create(database, name="admin", role="admin", actor=actor)
    ended, revoked = keys.create(database, name="gone", role="admin", actor=actor)
    keys.revoke(database, ended.id, actor=actor)
    create_batch(
        database, source_path=str(root / "meetings"), name="innocent", notify_emails=["kim@example.com"]
    )
    made = Target(create_app(settings, database), database, root / "meetings", key, revoked)
    assert made.has_changed()
    yield made
    database.dispose()
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE hostile WITH (FORCE)"))
    engine.dispose()


def is_refused(target: Target, answer: httpx.Response, *statuses: int) -> None:
    """Check what every refusal looks like, and that the tables are as they were."""
    assert 400 <= answer.status_code < 500, answer.text
    assert not statuses or answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance", "request_id", "errors"}
    assert problem["status"] == answer.status_code
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert len(answer.content) < 10_000
    for secret in ("Traceback", 'File "', "sqlalchemy", "psycopg", "SELECT", target.key, "sEcReT"):
        assert secret not in answer.text
    assert not target.has_changed()


def body_of(part: str, value: Any, target: Target) -> dict[str, Any]:
    """Return the body of a new batch in which one part is ``value``."""
    return {"source_path": str(target.folder), part: value}


SOURCES = [
    *(
        "/etc",
        "/",
        "file:///etc",
        "file:///",
        "{in}/../secret",
        "file://{in}/../secret",
        "{in}/..",
        "{in}/../meetings-old",
    ),
    *(
        "{in}/%2e%2e/secret",
        "file://{in}/%2e%2e/secret",
        "file://{in}/%252e%252e%252fsecret",
        "file://{in}%2f..%2fsecret",
    ),
    *(
        "{in}/..\\secret",
        "file://{in}/..%5csecret",
        "file://{in}/%c0%ae%c0%ae/secret",
        "{in}/\uff0e\uff0e/secret",
    ),
    *(
        "{in}-old",
        "{in}-old/2026",
        "file://{in}-old",
        "{in}/../meetings/../secret",
        "{in}/link",
        "file://{in}/link/2026",
    ),
    *(
        "{in}\0",
        "{in}/\0/../secret",
        "file://{in}/%00",
        "file://{in}/%2500",
        "{in}\n",
        "{in}/\x1b[2J",
        "{in}/\u202egpj.wav",
    ),
    *(
        "s3://audio-files-evil/x",
        "s3://audio-files.evil.com/x",
        "s3://evil/audio-files",
        "s3://AKIA:sEcReT@audio-files/x",
    ),
    *(
        "file://root:sEcReT@localhost{in}",
        "file://evil.example{in}",
        "http://127.0.0.1:8010/health",
        "http://169.254.169.254/latest",
    ),
    *(
        "gopher://x",
        "data:,x",
        "ftp://x/y",
        "~",
        "~root",
        ".",
        "..",
        "meetings",
        "$HOME",
        "${{jndi:ldap://x}}",
        "\\\\server\\share",
        "",
    ),
    *(
        "{in}/nowhere",
        "{in}/2026/" + HIDING,
        "{in}/'; DROP TABLE stt_batches; --",
        "/proc/self/environ",
        "/dev/stdin",
        "x" * 4_097,
    ),
]
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
        {"mail_minutes": "maybe"},
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


@pytest.mark.parametrize("endpoint", [BATCHES, f"{BATCHES}/estimate", WATCHES])
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: ascii(source[:30]))
def test_sources(target: Target, source: str, endpoint: str) -> None:
    body = {"source_path": source.replace("{in}", str(target.folder))}
    answer = target.send("POST", endpoint, json=body)
    is_refused(target, answer, 422)
    # neither what lies elsewhere is told, nor where a link leads
    assert HIDING[:40] not in answer.text or HIDING in source
    assert str(target.folder.parent / "secret") not in answer.json()["detail"]


@pytest.mark.parametrize(("part", "value"), PARTS, ids=lambda value: ascii(value)[:30])
def test_parts_of_a_new_batch(target: Target, part: str, value: Any) -> None:
    body = json.dumps(body_of(part, value, target)).encode()
    is_refused(target, target.send("POST", BATCHES, content=body, headers=_JSON), 422)


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
def test_parts_of_a_change(target: Target, part: str, value: Any) -> None:
    body = json.dumps({part: value}).encode()
    is_refused(target, target.send("PUT", ONE, content=body, headers=_JSON), 422)


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
def test_parts_of_a_new_watch(target: Target, part: str, value: Any) -> None:
    body = json.dumps(body_of(part, value, target)).encode()
    is_refused(target, target.send("POST", WATCHES, content=body, headers=_JSON), 422)


_JSON = {"Content-Type": "application/json"}
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
    is_refused(target, answer, 400, 413, 422)


def test_a_body_that_does_not_say_how_long_it_is(target: Target) -> None:
    def pieces() -> Iterator[bytes]:
        yield f'{{"source_path": "{target.folder}", "name": "'.encode()
        for _ in range(MAX_BODY_BYTES >> 10):
            yield b"x" * 1024
        yield b'"}'

    is_refused(target, target.send("POST", BATCHES, content=pieces(), headers=_JSON), 413)


@pytest.mark.parametrize("length", ["-1", "1e3", "x", "9" * 30, "9" * 5_000, "1, 2", "+5", "\u00b2"])
def test_lengths_that_are_none(target: Target, length: str) -> None:
    headers = {**_JSON, "Content-Length": length.encode("latin-1")}
    is_refused(target, target.send("POST", BATCHES, content=b"{}", headers=headers))


IDS = [
    *(
        "0",
        "-1",
        "1.5",
        "1e3",
        "0x1",
        "one",
        "9223372036854775808",
        "9" * 400,
        "9" * 5_000,
        "null",
        "NaN",
        "true",
        "[1]",
    ),
    *(
        "1;DROP TABLE stt_batches",
        "1 OR 1=1",
        "1'--",
        "1%00",
        "%00",
        "1%0d%0aX: y",
        "1%2f2",
        "..%2f..%2fetc",
        "%2e%2e",
        "*",
    ),
    *("1%E2%80%A8", "٣x", "{batch_id}", "1,2", "%ff", "999999", "1%20", "+1", "1_000", "1.0"),
]
FOUND_BY_ID = [
    *(("GET", f"{BATCHES}/{{}}{rest}") for rest in ("", "/progress", "/files", "/failures", "/export")),
    *(("PUT", f"{BATCHES}/{{}}"), ("DELETE", f"{BATCHES}/{{}}"), ("POST", f"{BATCHES}/{{}}/cancel")),
    *(("GET", f"{ADMIN}/transcriptions/{{}}{rest}") for rest in ("", "/minutes", "/export")),
]


@pytest.mark.parametrize("number", IDS, ids=lambda number: number[:20])
def test_numbers_of_things(target: Target, number: str) -> None:
    for method, path in FOUND_BY_ID:
        answer = target.send(
            method, path.format(number), **({"json": {"name": "x"}} if method == "PUT" else {})
        )
        is_refused(target, answer, 404, 405, 422)


QUERIES = [
    *(f"{BATCHES}?limit={value}" for value in ("0", "-1", "201", "1e9", "NaN", "", "9" * 400, "1;2", "all")),
    *(f"{BATCHES}?cursor={value}" for value in ("", "x", "%00", "' OR 1=1", "eyJpZCI6MX0", "A" * 201, "//8", "-1", "0", "9" * 30)),
    *(f"{BATCHES}?status={value}" for value in ("", "gone", "completed' OR '1'='1", "%00", "completed,failed")),
    *(f"{BATCHES}?priority={value}" for value in ("urgent", "", "%00")),
    *(f"{BATCHES}?created_from={value}" for value in ("yesterday", "0", "2026-13-01T00:00:00Z", "2026-03-01", "%00", "9" * 30)),
    *(f"{BATCHES}?created_before=2026-03-01T00:00:00", f"{BATCHES}?name=%00", f"{BATCHES}?created_by=a%00b"),
    *(f"{BATCHES}?name={'x' * 201}", f"{BATCHES}?created_by={'x' * 301}", f"{BATCHES}?name="),
    *(f"{ONE}/files?status={value}" for value in ("x", "%00", "failed' --")),
    *(f"{ONE}/files?cursor={value}" for value in ("x", "%00", "eyJpZCI6MX0", "A" * 201, "9" * 30)),
    *(f"{ONE}/failures?{value}" for value in ("error_class=x", "cursor=x", "limit=0", "cursor=%00", "error_class=%00")),
    *(f"{ONE}/export?format={value}" for value in ("exe", "../../etc/passwd", "%00", "txt;rm")),
    *(f"{ADMIN}/search?{value}" for value in ("", "q=", "q=%00", "q=" + "x" * 5_000, "q=a&limit=0", "q=a&cursor=x", "q=a&batch_id=x")),
]  # fmt: skip


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.removeprefix(ADMIN)[:40])
def test_queries(target: Target, path: str) -> None:
    is_refused(target, target.send("GET", path), 400, 404, 409, 422)


CREDENTIALS = [
    *(
        "",
        "Bearer",
        "Bearer ",
        "Basic YWRtaW46YWRtaW4=",
        "bearer",
        "Bearer stt_",
        "Bearer null",
        "Bearer undefined",
        "Token x",
    ),
    *(
        "Bearer stt_000000000000_" + "A" * 43,
        "Bearer " + "x" * 8_000,
        "Bearer stt_%00",
        "Bearer ' OR '1'='1",
        "Digest username=admin",
    ),
    *(
        "Bearer stt_x\r\nX-Role: admin",
        "Bearer \x00",
        "Bearer \xff\xfe",
        "Bearer {revoked}",
        "Bearer {upper}",
        "Bearer {cut}",
        "Bearer {more}",
    ),
    *("Bearer {secret}", "Bearer {other}", "{key}", "Basic {key}", "Bearer {key}, Bearer {key}"),
]


@pytest.mark.parametrize("credentials", CREDENTIALS, ids=lambda text: ascii(text[:30]))
def test_keys_that_are_none(target: Target, credentials: str) -> None:
    key = target.key
    other = key[:-1] + ("A" if key[-1] != "A" else "B")
    for name, value in {
        "revoked": target.revoked, "upper": key.upper(), "cut": key[:-1], "more": key + "A", "secret": key[17:], "other": other, "key": key,
    }.items():  # fmt: skip
        credentials = credentials.replace(f"{{{name}}}", value)
    for method, path in (("GET", BATCHES), ("POST", BATCHES), ("DELETE", ONE), ("GET", "/metrics")):
        answer = target.send(method, path, key="", headers={"Authorization": credentials.encode("latin-1")})
        is_refused(target, answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "wishes",
    [
        {"params": {"api_key": "{key}", "access_token": "{key}", "Authorization": "Bearer {key}"}},
        {"cookies": {"Authorization": "Bearer {key}", "api_key": "{key}"}},
        {
            "headers": {
                "X-API-Key": "{key}",
                "X-Authorization": "Bearer {key}",
                "Proxy-Authorization": "Bearer {key}",
            }
        },
        {
            "headers": {
                "X-Forwarded-For": "127.0.0.1",
                "X-Real-IP": "127.0.0.1",
                "X-Role": "admin",
                "X-User": "admin",
            }
        },
        {"headers": {"X-Original-URL": "/health", "X-Rewrite-URL": "/health", "Forwarded": "for=127.0.0.1"}},
    ],
    ids=["query", "cookie", "other headers", "a proxy's headers", "rewritten address"],
)
def test_a_key_anywhere_else_does_not_count(target: Target, wishes: dict[str, dict[str, str]]) -> None:
    filled = {
        kind: {name: value.replace("{key}", target.key) for name, value in given.items()}
        for kind, given in wishes.items()
    }
    cookies = filled.pop("cookies", {})
    if cookies:
        filled["headers"] = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    is_refused(target, target.send("DELETE", ONE, key="", **filled), 401)


TRICKS = [
    *(("TRACE", ONE), ("PATCH", ONE), ("CONNECT", ONE), ("PROPFIND", ONE), ("DELETE\x00", ONE), ("delete", BATCHES), ("X" * 300, ONE)),
    *(("POST", ONE), ("PUT", BATCHES), ("DELETE", BATCHES), ("GET", f"{ONE}/cancel"), ("GET", f"{ONE}/retry"), ("GET", f"{BATCHES}/estimate")),
    *(("GET", path) for path in ("/", "/docs", "/redoc", "/.env", "/api/v1/admin", f"{ADMIN}/", "/api/v1/admin/stt-keys", "/static/../x")),
    *(("GET", path) for path in (f"{ADMIN}/%2e%2e/health", f"{ONE}/..%2f2", f"/{ADMIN}//stt-batches", f"{BATCHES};x=1", f"{BATCHES}%00")),
    *(("GET", path) for path in (f"{ADMIN}/STT-BATCHES", f"{ONE}/progress/../../../../etc/passwd", "/" + "a/" * 3_000, "/%ff%fe", "/\u202e")),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), TRICKS, ids=lambda value: ascii(value)[:30])
def test_methods_and_addresses(target: Target, method: str, path: str) -> None:
    headers = {"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE"}
    is_refused(target, target.send(method, path, headers=headers), 404, 405, 422)


@pytest.mark.parametrize(
    "request_id",
    ["x\r\nSet-Cookie: a=b", "<script>", "x" * 65, "../../etc", "\x00" * 8, "a b c d e", "${jndi:x}"],
)
def test_a_request_id_that_is_none_is_not_repeated(target: Target, request_id: str) -> None:
    answer = target.send("GET", f"{BATCHES}/999", headers={"X-Request-ID": request_id.encode()})
    is_refused(target, answer, 404)
    assert answer.json()["request_id"] != request_id
    assert answer.json()["request_id"].isalnum()


@pytest.mark.parametrize(
    "pattern", ["*a*a*a*a*a*a*a*a*a*a*a*b", "*a" * 900 + "b", "**/" * 600 + "b", ",".join(["**/*a*a?b"] * 99)]
)
def test_no_pattern_holds_up_the_api(target: Target, pattern: str) -> None:
    """With backtracking, the first of these takes longer than anybody waits."""
    answer = target.send("POST", f"{BATCHES}/estimate", json=body_of("file_pattern", pattern, target))
    assert answer.status_code == 200
    assert (answer.json()["files"], answer.json()["listed"]) == (0, 3)
    assert not target.has_changed()


def test_whatever_takes_a_source_is_held_to_the_setting(target: Target) -> None:
    """An endpoint that forgets to ask is found here: without the setting, no source is allowed to anybody."""
    app = create_app(Settings(_env_file=None), target.database)  # type: ignore[call-arg]
    page = app.openapi()
    taking = [
        name
        for name, schema in page["components"]["schemas"].items()
        if "source_path" in schema.get("properties", {})
    ]
    closed = replace(target, app=app)
    asked = 0
    for path, operations in page["paths"].items():
        for method, operation in operations.items():
            schema = (
                operation.get("requestBody", {})
                .get("content", {})
                .get("application/json", {})
                .get("schema", {})
            )
            if schema.get("$ref", "").rpartition("/")[2] not in taking:
                continue
            answer = closed.send(
                method.upper(), path.format(batch_id=1), json={"source_path": str(target.folder)}
            )
            is_refused(target, answer, 422)
            assert "STT_ALLOWED_SOURCES" in answer.json()["detail"]
            asked += 1
    assert asked == 3
