"""A policy decision point instead of the table: the real client over HTTP, against a server with the shipped policy."""

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from stt_pipeline.api import keys
from stt_pipeline.api.access import RANKS, ROLES
from stt_pipeline.api.app import create_app
from stt_pipeline.api.cerbos import RESOURCE_KIND, load_policy
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings
from stt_pipeline.store.access.api_keys import Role
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database
from stt_pipeline_tests.api.conftest import ADMIN

POLICY = Path(__file__).parents[2] / "docker" / "cerbos" / "policies" / "stt_api.yaml"
Answer = Callable[[dict[str, Any]], tuple[int, bytes]]


def shipped_rules() -> dict[str, set[str]]:
    """Return the roles that the policy file allows for each action."""
    policy = yaml.safe_load(POLICY.read_text())
    assert policy["apiVersion"] == "api.cerbos.dev/v1"
    assert policy["resourcePolicy"]["resource"] == RESOURCE_KIND
    allowed: dict[str, set[str]] = {}
    for rule in policy["resourcePolicy"]["rules"]:
        assert rule["effect"] == "EFFECT_ALLOW"
        for action in rule["actions"]:
            allowed.setdefault(action, set()).update(rule["roles"])
    return allowed


def by_policy(asked: dict[str, Any]) -> tuple[int, bytes]:
    """Answer like a Cerbos server with the shipped policy."""
    rules = shipped_rules()
    roles = set(asked["principal"]["roles"])
    results = [
        {
            "resource": {**entry["resource"], "attr": {}, "policyVersion": "default", "scope": ""},
            "actions": {
                action: "EFFECT_ALLOW" if roles & rules.get(action, set()) else "EFFECT_DENY"
                for action in entry["actions"]
            },
        }
        for entry in asked["resources"]
    ]
    answer = {"requestId": asked["requestId"], "results": results, "cerbosCallId": "01JD"}
    return 200, json.dumps(answer).encode()


@contextmanager
def decision_point(answer: Answer) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Run a server with the path of Cerbos; yield its address and the requests it gets."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/api/check/resources"
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body = answer(asked[-1])
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def client(database: Database, url: str, role: Role) -> TestClient:
    settings = Settings(cerbos_url=url, _env_file=None)  # type: ignore[call-arg]
    _, key = keys.create(database, name="계정 1", role=role, actor=Actor("tests"))
    app = create_app(settings, database)
    return TestClient(app, headers={"Authorization": f"Bearer {key}"}, raise_server_exceptions=False)


def test_the_shipped_policy_is_equivalent_to_the_table() -> None:
    assert shipped_rules() == {name: set(RANKS[RANKS.index(role) :]) for name, role in ROLES.items()}


@pytest.mark.slow
def test_the_server_decides(database: Database) -> None:
    with decision_point(by_policy) as (url, asked):
        operator = client(database, url, "operator")
        assert operator.post(f"{ADMIN}/stt-batches/7/cancel").status_code == 404
        assert operator.delete(f"{ADMIN}/stt-batches/7").status_code == 403
        assert client(database, url, "admin").delete(f"{ADMIN}/stt-batches/7").status_code == 404
    [entry] = asked[1]["resources"]
    assert entry["actions"] == ["delete_batch"]
    assert entry["resource"]["kind"] == "stt_api"
    assert entry["resource"]["attr"] == {"batch_id": "7"}
    assert asked[1]["principal"]["roles"] == ["operator"]
    assert re.fullmatch(r"\d+", asked[1]["principal"]["id"])
    assert asked[1]["principal"]["attr"] == {"name": "계정 1"}


def test_a_key_is_still_needed(database: Database) -> None:
    with decision_point(by_policy) as (url, asked):
        stranger = client(database, url, "admin")
        stranger.headers["Authorization"] = "Bearer stt_000000000000_" + "A" * 43
        assert stranger.get(f"{ADMIN}/stt-batches").status_code == 401
    assert asked == []


def _denied(asked: dict[str, Any]) -> tuple[int, bytes]:
    return 200, json.dumps({"requestId": asked["requestId"], "results": []}).encode()


def _another_resource(asked: dict[str, Any]) -> tuple[int, bytes]:
    other = {"resource": {"id": "x", "kind": "x"}, "actions": {"list_batches": "EFFECT_ALLOW"}}
    return 200, json.dumps({"requestId": asked["requestId"], "results": [other]}).encode()


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (_denied, 403),
        (_another_resource, 403),
        (lambda asked: (500, b'{"code": 13, "message": "no"}'), 503),
        (lambda asked: (400, b"<html>"), 503),
        (lambda asked: (200, b"<html>"), 503),
        (lambda asked: (200, b"{}"), 503),
        (lambda asked: (200, b"null"), 503),
        (lambda asked: (302, b""), 503),
    ],
)
def test_other_answers_do_not_allow_the_call(database: Database, answer: Answer, status: int) -> None:
    with decision_point(answer) as (url, _):
        refused = client(database, url, "admin").get(f"{ADMIN}/stt-batches")
    assert refused.status_code == status
    assert refused.headers["content-type"] == "application/problem+json"


def test_nothing_is_allowed_while_the_server_is_down(database: Database) -> None:
    with decision_point(by_policy) as (url, _):
        admin = client(database, url, "admin")
        assert admin.get(f"{ADMIN}/stt-batches").status_code == 200
    down = admin.get(f"{ADMIN}/stt-batches")
    assert down.status_code == 503
    assert down.headers["retry-after"] == "5"
    assert "policy decision point" in down.json()["detail"]


@pytest.mark.parametrize(
    "url", ["127.0.0.1:3592", "grpc://host", "http://", "http://host:port", "http://host:0"]
)
def test_an_invalid_address(url: str) -> None:
    with pytest.raises(ConfigurationError, match="STT_CERBOS_URL"):
        load_policy(Settings(cerbos_url=url, _env_file=None))  # type: ignore[call-arg]


def test_without_the_package_the_error_has_the_command_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cerbos.sdk.client", None)
    with pytest.raises(ConfigurationError, match=r"pip install -e '\.\[cerbos\]'"):
        load_policy(Settings(cerbos_url="http://127.0.0.1:3592", _env_file=None))  # type: ignore[call-arg]
    assert load_policy(Settings(_env_file=None)) is None  # type: ignore[call-arg]
