"""Sources outside of STT_ALLOWED_SOURCES, in many spellings, and patterns that would take long."""

import gzip
from dataclasses import replace

import pytest

from stt_pipeline.api.app import create_app
from stt_pipeline.settings import Settings
from stt_pipeline_tests.api.hostile.target import BATCHES, CANARY, WATCHES, Target, assert_rejected, body_of

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
        "{in}/2026/" + CANARY,
        "{in}/'; DROP TABLE stt_batches; --",
        "/proc/self/environ",
        "/dev/stdin",
        "x" * 4_097,
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", [BATCHES, f"{BATCHES}/estimate", WATCHES])
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: ascii(source[:30]))
def test_sources(target: Target, source: str, endpoint: str) -> None:
    body = {"source_path": source.replace("{in}", str(target.folder))}
    answer = target.send("POST", endpoint, json=body)
    assert_rejected(target, answer, 422)
    # the response has no name of another folder, and no target of a link
    assert CANARY[:40] not in answer.text or CANARY in source
    assert str(target.folder.parent / "secret") not in answer.json()["detail"]


@pytest.mark.parametrize(
    "pattern", ["*a*a*a*a*a*a*a*a*a*a*a*b", "*a" * 900 + "b", "**/" * 600 + "b", ",".join(["**/*a*a?b"] * 99)]
)
def test_patterns_do_not_backtrack(target: Target, pattern: str) -> None:
    """With backtracking, the first of these would take years."""
    answer = target.send("POST", f"{BATCHES}/estimate", json=body_of("file_pattern", pattern, target))
    assert answer.status_code == 200
    assert (answer.json()["files"], answer.json()["listed"]) == (0, 3)
    assert not target.has_changed()


def test_every_endpoint_with_a_source_checks_the_setting(target: Target) -> None:
    """This finds an endpoint without the check: without the setting, no source is allowed."""
    app = create_app(Settings(_env_file=None), target.database)  # type: ignore[call-arg]
    page = app.openapi()
    with_source = [
        name
        for name, schema in page["components"]["schemas"].items()
        if "source_path" in schema.get("properties", {})
    ]
    closed = replace(target, app=app)
    checked = 0
    for path, operations in page["paths"].items():
        for method, operation in operations.items():
            schema = (
                operation.get("requestBody", {})
                .get("content", {})
                .get("application/json", {})
                .get("schema", {})
            )
            if schema.get("$ref", "").rpartition("/")[2] not in with_source:
                continue
            answer = closed.send(
                method.upper(), path.format(batch_id=1), json={"source_path": str(target.folder)}
            )
            assert_rejected(target, answer, 422)
            assert "STT_ALLOWED_SOURCES" in answer.json()["detail"]
            checked += 1
    assert checked == 3


@pytest.mark.parametrize("name", ["list.csv.gz", "list.jsonl.gz"])
def test_an_estimate_does_not_read_endless_lines(target: Target, name: str) -> None:
    """100 MB of empty lines are 100 kB in the list; all of them would take minutes."""
    path = target.folder / name
    path.write_bytes(gzip.compress(b"uri\n" * name.count("csv") + b"\n" * 100_000_000, compresslevel=1))
    try:
        answer = target.send("POST", f"{BATCHES}/estimate", json={"source_path": str(path)})
    finally:
        path.unlink()
    assert answer.status_code == 200
    assert (answer.json()["files"], answer.json()["is_complete"]) == (0, False)
    assert not target.has_changed()
