"""Invalid ids, query parameters, methods, paths and request ids."""

import pytest

from stt_pipeline_tests.api.conftest import ADMIN
from stt_pipeline_tests.api.hostile.target import BATCHES, ONE, Target, assert_rejected

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


@pytest.mark.slow
@pytest.mark.parametrize("number", IDS, ids=lambda number: number[:20])
def test_ids(target: Target, number: str) -> None:
    for method, path in FOUND_BY_ID:
        answer = target.send(
            method, path.format(number), **({"json": {"name": "x"}} if method == "PUT" else {})
        )
        assert_rejected(target, answer, 404, 405, 422)


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
    assert_rejected(target, target.send("GET", path), 400, 404, 409, 422)


TRICKS = [
    *(("TRACE", ONE), ("PATCH", ONE), ("CONNECT", ONE), ("PROPFIND", ONE), ("DELETE\x00", ONE), ("delete", BATCHES), ("X" * 300, ONE)),
    *(("POST", ONE), ("PUT", BATCHES), ("DELETE", BATCHES), ("GET", f"{ONE}/cancel"), ("GET", f"{ONE}/retry"), ("GET", f"{BATCHES}/estimate")),
    *(("GET", path) for path in ("/", "/docs", "/redoc", "/.env", "/api/v1/admin", f"{ADMIN}/", "/api/v1/admin/stt-keys", "/static/../x")),
    *(("GET", path) for path in (f"{ADMIN}/%2e%2e/health", f"{ONE}/..%2f2", f"/{ADMIN}//stt-batches", f"{BATCHES};x=1", f"{BATCHES}%00")),
    *(("GET", path) for path in (f"{ADMIN}/STT-BATCHES", f"{ONE}/progress/../../../../etc/passwd", "/" + "a/" * 3_000, "/%ff%fe", "/\u202e")),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), TRICKS, ids=lambda value: ascii(value)[:30])
def test_methods_and_paths(target: Target, method: str, path: str) -> None:
    headers = {"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE"}
    assert_rejected(target, target.send(method, path, headers=headers), 404, 405, 422)


@pytest.mark.parametrize(
    "request_id",
    ["x\r\nSet-Cookie: a=b", "<script>", "x" * 65, "../../etc", "\x00" * 8, "a b c d e", "${jndi:x}"],
)
def test_an_invalid_request_id_is_not_repeated(target: Target, request_id: str) -> None:
    answer = target.send("GET", f"{BATCHES}/999", headers={"X-Request-ID": request_id.encode()})
    assert_rejected(target, answer, 404)
    assert answer.json()["request_id"] != request_id
    assert answer.json()["request_id"].isalnum()
