"""Keys, roles, rates and body limits; and the headers of every response."""

import hashlib
import re
import socket
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text

from stt_pipeline.api import keys
from stt_pipeline.api.access import RANKS, ROLES
from stt_pipeline.api.app import create_app
from stt_pipeline.api.middleware import MAX_BODY_BYTES, BodyLimit
from stt_pipeline.api.server import require_key
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database
from stt_pipeline_tests.api.conftest import ADMIN, ClientFor


def endpoints(app: FastAPI) -> dict[str, tuple[str, str]]:
    """Return (method, path with 1 for each id) of every endpoint in the OpenAPI description, by name."""
    return {
        operation["operationId"]: (method.upper(), re.sub(r"\{\w+\}", "1", path))
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
    }


def test_every_endpoint_is_in_the_table_of_roles(app: FastAPI) -> None:
    assert set(endpoints(app)) == set(ROLES) | {"get_health"}


@pytest.mark.slow
def test_each_role_has_exactly_the_rights_of_the_table(app: FastAPI, client_for: ClientFor) -> None:
    clients = {role: client_for(role) for role in (None, *RANKS)}
    for name, (method, path) in endpoints(app).items():
        for role, client in clients.items():
            status = client.request(method, path).status_code
            if name == "get_health":
                assert status in (200, 503)
            elif role is None:
                assert status == 401, (name, role)
            elif RANKS.index(role) < RANKS.index(ROLES[name]):
                assert status == 403, (name, role)
            else:
                # there is no batch and no transcription 1, and the bodies are missing
                assert status in (200, 404, 422), (name, role, status)


@pytest.mark.parametrize(
    "header",
    [
        "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer stt_000000000000_" + "A" * 43, "Bearer " + "x" * 5000,
        "Bearer 회의", "bearer\tstt_x",
    ],
)  # fmt: skip
def test_invalid_keys(app: FastAPI, database: Database, header: str) -> None:
    keys.create(database, name="operations", role="admin", actor=Actor("tests"))
    answer = TestClient(app).get(f"{ADMIN}/stt-batches", headers={"Authorization": header.encode()})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_works_until_it_is_revoked_and_is_stored_as_a_hash(app: FastAPI, database: Database) -> None:
    row, key = keys.create(database, name="operations", role="viewer", actor=Actor("tests"))
    client = TestClient(app, headers={"Authorization": f"Bearer {key}"})
    assert client.get(f"{ADMIN}/stt-batches").status_code == 200
    for wrong in (key[:-1], key[:-1] + ("A" if key[-1] != "A" else "B"), key.upper()):
        answer = client.get(f"{ADMIN}/stt-batches", headers={"Authorization": f"Bearer {wrong}"})
        assert answer.status_code == 401
    keys.revoke(database, row.id, actor=Actor("tests"))
    assert client.get(f"{ADMIN}/stt-batches").status_code == 401
    with database.begin() as connection:
        stored = str(connection.execute(text("SELECT * FROM stt_api_keys")).one())
        hashed = connection.scalar(text("SELECT hash FROM stt_api_keys"))
        log = str(connection.execute(text("SELECT * FROM stt_audit_log")).all())
    secret = key.removeprefix(row.prefix)
    assert secret not in stored + log
    assert hashed == hashlib.sha256(key.encode()).digest()
    assert "key.create" in log and "key.revoke" in log


def test_without_a_key_it_does_not_start(database: Database) -> None:
    plain = Settings(_env_file=None)  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="stt key create"):
        require_key(plain, database)
    require_key(Settings(development=True, _env_file=None), database)  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="not limited to this machine"):
        require_key(Settings(development=True, api_host="0.0.0.0", _env_file=None), database)  # type: ignore[call-arg]
    row, _ = keys.create(database, name="a", role="viewer", actor=Actor("tests"))
    require_key(plain, database)
    keys.revoke(database, row.id, actor=Actor("tests"))
    with pytest.raises(ConfigurationError, match="has no key yet"):
        require_key(plain, database)


def test_in_development_a_wrong_key_is_rejected(database: Database) -> None:
    client = TestClient(
        create_app(Settings(development=True, _env_file=None), database), base_url="http://127.0.0.1"
    )  # type: ignore[call-arg]
    assert client.get(f"{ADMIN}/stt-batches").status_code == 200
    assert client.get(f"{ADMIN}/stt-batches", headers={"Authorization": "Bearer x"}).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:8010"},
        {"Origin": "https://evil.example"},
        {"Host": "evil.example", "Origin": "null"},
    ],
)
def test_in_development_requests_of_other_sites_are_rejected(
    database: Database, headers: dict[str, str]
) -> None:
    app = create_app(Settings(development=True, _env_file=None), database)  # type: ignore[call-arg]
    answer = TestClient(app, base_url="http://127.0.0.1").get(f"{ADMIN}/stt-batches", headers=headers)
    assert (answer.status_code, answer.json()["title"]) == (403, "Not allowed")


def test_each_key_has_its_own_rate(database: Database) -> None:
    app = create_app(Settings(api_rate_limit="3/minute", _env_file=None), database)  # type: ignore[call-arg]
    clients = []
    for name in ("one", "two"):
        _, key = keys.create(database, name=name, role="viewer", actor=Actor("tests"))
        clients.append(TestClient(app, headers={"Authorization": f"Bearer {key}"}))
    one, two = clients
    assert [one.get(f"{ADMIN}/stt-batches").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = one.get(f"{ADMIN}/stt-batches")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert "3 per 1 minute" in refused.json()["detail"]
    assert two.get(f"{ADMIN}/stt-batches").status_code == 200


def test_wrong_keys_are_limited_and_a_valid_one_is_not(database: Database) -> None:
    app = create_app(Settings(api_rate_limit="3/minute", _env_file=None), database)  # type: ignore[call-arg]
    _, key = keys.create(database, name="a", role="viewer", actor=Actor("tests"))
    client = TestClient(app, headers={"Authorization": "Bearer stt_x"})
    assert [client.get(f"{ADMIN}/stt-batches").status_code for _ in range(4)] == [401, 401, 401, 429]
    assert client.get(f"{ADMIN}/stt-batches", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_a_wrong_method_gets_the_allowed_methods(client: TestClient) -> None:
    for path, methods in (
        ("", {"GET", "POST"}),
        ("/1", {"GET", "PUT", "DELETE"}),
        ("/1/retry", {"POST"}),
        ("/estimate", {"POST"}),
    ):
        answer = client.patch(f"{ADMIN}/stt-batches{path}")
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == methods


def test_an_invalid_rate(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="STT_API_RATE_LIMIT"):
        create_app(Settings(api_rate_limit="many", _env_file=None), database)  # type: ignore[call-arg]


def test_bodies_with_and_without_a_length_have_a_limit(client: TestClient) -> None:
    path = f"{ADMIN}/stt-batches"
    assert client.post(path, content=b" " * (MAX_BODY_BYTES + 1)).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 1024

    answer = client.post(path, content=endless())
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert client.post(path, headers={"Content-Length": "x"}, content=b"{}").status_code in (400, 413)


def test_a_body_that_the_endpoint_does_not_read(server: str, client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(200):
            yield b" " * 1024

    asked = {"headers": dict(client.headers), "content": chunks()}
    assert httpx.request("GET", f"{server}{ADMIN}/stt-batches", **asked).status_code == 200


@pytest.fixture
def impatient(app: FastAPI) -> None:
    """Limits the time for a body to 0.2 seconds."""
    app.add_middleware(BodyLimit, body_seconds=0.2)


@pytest.mark.usefixtures("impatient")
def test_a_body_that_stalls_gets_an_error(client: TestClient, server: str) -> None:
    host, port = server.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        lines = [
            f"POST {ADMIN}/stt-batches HTTP/1.1",
            "Host: x",
            f"Authorization: {client.headers['Authorization']}",
            "Content-Type: application/json",
            "Content-Length: 10",
        ]
        connection.sendall("\r\n".join([*lines, "", "{"]).encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_every_response_has_a_request_id(client: TestClient) -> None:
    for path in ("/health", f"{ADMIN}/stt-batches", "/nowhere"):
        answer = client.get(path)
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
    assert (
        client.get("/health", headers={"X-Request-ID": "trace-12345"}).headers["X-Request-ID"]
        == "trace-12345"
    )
    for bad in ("a b", "x" * 65, "<script>", "short"):
        assert client.get("/health", headers={"X-Request-ID": bad}).headers["X-Request-ID"] != bad
    refused = client.get("/nowhere")
    assert refused.json()["request_id"] == refused.headers["X-Request-ID"]


def test_an_unexpected_error_shows_no_stack_trace(
    app: FastAPI, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    app.state.database = None
    answer = client.get(f"{ADMIN}/stt-batches/1")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    request_id = answer.headers["X-Request-ID"]
    assert answer.json()["request_id"] == request_id
    (record,) = [record for record in caplog.records if request_id in record.getMessage()]
    assert record.exc_info
    assert set(answer.json()) == {"type", "title", "status", "detail", "instance", "request_id", "errors"}
    assert "NoneType" not in answer.text


def test_a_query_that_takes_too_long_gets_an_error(database_url: str) -> None:
    hurried = Database(database_url, statement_seconds=0.2)
    other = Database(database_url)
    app = create_app(Settings(development=True, _env_file=None), hurried)  # type: ignore[call-arg]
    client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    try:
        with other.begin() as connection:
            connection.execute(text("LOCK TABLE stt_batches IN ACCESS EXCLUSIVE MODE"))
            answer = client.get(f"{ADMIN}/stt-batches")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert "took too long" in answer.json()["detail"]
        assert client.get(f"{ADMIN}/stt-batches").status_code == 200
    finally:
        hurried.dispose()
        other.dispose()


def test_an_unavailable_database_shows_no_stack_trace() -> None:
    unavailable = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    app = create_app(Settings(development=True, _env_file=None), unavailable)  # type: ignore[call-arg]
    client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    answer = client.get(f"{ADMIN}/stt-batches")
    assert (answer.status_code, answer.json()["title"]) == (503, "Unavailable")
    health = client.get("/health")
    assert (health.status_code, health.json()["parts"]["database"]) == (503, "fail")
    unavailable.dispose()
