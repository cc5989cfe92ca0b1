"""`stt key`: a key is shown once, and its revocation takes effect immediately."""

import hashlib
import json
import re

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from stt_pipeline.api.app import create_app
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.tables import metadata
from stt_pipeline_tests.cli.conftest import Stt

BATCHES = "/api/v1/admin/stt-batches"


def _client(database: Database, key: str) -> TestClient:
    app = create_app(Settings(_env_file=None), database)  # type: ignore[call-arg]
    return TestClient(app, headers={"Authorization": f"Bearer {key}"}, raise_server_exceptions=False)


def test_the_key_is_alone_on_stdout_and_works(stt_on_database: Stt, database: Database) -> None:
    ended = stt_on_database("key", "create", "--role", "operator", "--name", "야간 작업")
    assert ended.code == 0
    assert re.fullmatch(r"stt_[0-9a-f]{12}_[\w-]{43}\n", ended.out)
    assert "Key 1 (야간 작업) has the role operator." in ended.err
    assert ended.out.strip() not in ended.err
    client = _client(database, ended.out.strip())
    assert client.get(BATCHES).status_code == 200
    assert client.delete(f"{BATCHES}/1").status_code == 403


def test_the_database_stores_only_a_hash_of_the_key(stt_on_database: Stt, database: Database) -> None:
    key = stt_on_database("key", "create", "--role", "admin").out.strip()
    secret = key[17:]
    assert _client(database, key).get(BATCHES).status_code == 200
    with database.begin() as connection:
        stored = "\n".join(
            str(row)
            for table in metadata.tables
            for row in connection.execute(text(f"SELECT t::text FROM {table} t")).scalars()
        )
        assert (
            connection.scalar(text("SELECT hash FROM stt_api_keys")) == hashlib.sha256(key.encode()).digest()
        )
    assert key[:16] in stored
    assert key not in stored
    assert secret not in stored
    assert secret.encode().hex() not in stored


def test_a_revoked_key_is_rejected_immediately(stt_on_database: Stt, database: Database) -> None:
    key, other = (stt_on_database("key", "create", "--role", "admin").out.strip() for _ in range(2))
    client = _client(database, key)
    assert client.get(BATCHES).status_code == 200
    ended = stt_on_database("key", "revoke", 1)
    assert (ended.code, ended.out, ended.err) == (0, "Key 1 (admin) is revoked.\n", "")
    assert client.get(BATCHES).status_code == 401
    assert _client(database, other).get(BATCHES).status_code == 200
    first = json.loads(stt_on_database("key", "revoke", 1, "--json").out)["revoked_at"]
    assert json.loads(stt_on_database("key", "revoke", 1, "--json").out)["revoked_at"] == first


def test_the_audit_log_has_the_creation_and_revocation_of_a_key(
    stt_on_database: Stt, database: Database
) -> None:
    key = stt_on_database("key", "create", "--role", "viewer", "--name", "dashboard").out.strip()
    stt_on_database("key", "revoke", 1)
    with database.begin() as connection:
        rows = connection.execute(text("SELECT who, action, details FROM stt_audit_log ORDER BY id")).all()
    assert [(row.action, row.details["id"], row.details["name"]) for row in rows] == [
        ("key.create", 1, "dashboard"),
        ("key.revoke", 1, "dashboard"),
    ]
    assert rows[0].who.endswith("(stt key create)")
    assert key not in str(rows)


def test_list(stt_on_database: Stt, database: Database) -> None:
    ended = stt_on_database("key", "list")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "No key exists yet. Create one with: stt key create --role operator\n"
    made = json.loads(stt_on_database("key", "create", "--role", "viewer", "--name", "[a] b", "--json").out)
    stt_on_database("key", "create", "--role", "admin")
    stt_on_database("key", "revoke", 2)
    viewer, admin = map(json.loads, stt_on_database("key", "list", "--json").out.splitlines())
    assert made == {**viewer, "key": made["key"]}
    assert (viewer["name"], viewer["role"], viewer["last_used_at"], viewer["revoked_at"]) == (
        *("[a] b", "viewer", None, None),
    )
    assert admin["revoked_at"]
    assert not {"hash", "key"} & set(viewer)
    shown = stt_on_database("key", "list").shown
    assert f"{made['prefix']}_…" in shown
    assert "[a] b" in shown
    assert made["key"] not in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create",), "--role"),
        (("create", "--role", "root"), "root"),
        (("create", "--role", "admin", "--name", "a\x1b[31mb"), "printable"),
        (("create", "--role", "admin", "--name", "x" * 101), "1 to 100"),
        (("revoke", "7"), "API key 7 does not exist"),
        (("revoke", str(1 << 63)), "the number is too large"),
        (("revoke", "x"), "integer"),
    ],
)
def test_invalid_arguments_are_rejected(
    stt_on_database: Stt, database: Database, arguments: tuple[str, ...], words: str
) -> None:
    ended = stt_on_database("key", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert words in " ".join(ended.err.replace("│", " ").split())
    with database.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM stt_api_keys")) == 0
        assert connection.scalar(text("SELECT count(*) FROM stt_audit_log")) == 0
