"""The app that hostile requests are sent to, and the check that a request is rejected and changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text

from stt_pipeline.store.database import Database
from stt_pipeline_tests.api.conftest import ADMIN

BATCHES = f"{ADMIN}/stt-batches"
WATCHES = f"{ADMIN}/stt-watches"
ONE = f"{BATCHES}/1"
JSON = {"Content-Type": "application/json"}
CANARY = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.wav"
"""Name of a file in each folder; no response may contain it."""


@dataclass
class Target:
    """An app with one batch, on a database that all hostile tests share."""

    app: FastAPI
    database: Database
    folder: Path
    key: str
    revoked: str
    known: Sequence[tuple[str, int, str]] = ()

    def send(self, method: str, path: str, *, key: str | None = None, **arguments: Any) -> httpx.Response:
        """Send a request with an admin's key, or with another or none ("")."""
        headers = {"Authorization": f"Bearer {self.key if key is None else key}"} if key != "" else {}
        headers |= arguments.pop("headers", {})
        client = TestClient(self.app, raise_server_exceptions=False)
        return client.request(method, path, headers=headers, **arguments)

    def has_changed(self) -> bool:
        """Return whether a table has changed since the last call."""
        known, self.known = self.known, self._contents()
        return self.known != known

    def _contents(self) -> list[tuple[str, int, str]]:
        """Return the count and a hash of each table, except the last use of the keys."""
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


def assert_rejected(target: Target, answer: httpx.Response, *statuses: int) -> None:
    """Check the form of the error response, and that no table has changed."""
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
    """Return the body of a new batch in which the field ``part`` is ``value``."""
    return {"source_path": str(target.folder), part: value}
