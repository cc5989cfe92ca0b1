"""The API against its OpenAPI description, with all checks of schemathesis: valid, invalid and chained requests."""

import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.testclient import TestClient
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp
from upath import UPath

from stt_pipeline.api.progress_feed import ProgressFeed
from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.maintenance.deletion import delete_batch
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker, scanned, write_tone
from stt_pipeline_tests.cli.processed_batches import process

CONFIG = Path(__file__).parent / "schemathesis.toml"


class Dispatcher(BaseHTTPMiddleware):
    """Does the work of the dispatcher before the response is sent, so that a deleted batch does not exist."""

    def __init__(self, app: ASGIApp, database: Database, data: Path) -> None:
        super().__init__(app)
        self._database = database
        self._data = data

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        if request.method == "DELETE" and response.status_code == 202:
            await run_in_threadpool(self._delete, int(request.path_params["batch_id"]))
        return response

    def _delete(self, batch_id: int) -> None:
        with claimed_batch(
            self._database, batch_id, run_id="delete", token=None, lease_seconds=60, to_delete=True
        ) as work:
            delete_batch(work, delete_records=lambda batch_id: True, data_root=UPath(self._data))


@pytest.fixture
def app(app: FastAPI, database: Database, tmp_path: Path) -> FastAPI:
    """The app with a dispatcher that works at once, and short streams."""
    app.add_middleware(Dispatcher, database=database, data=tmp_path / "data")
    app.state.feed = ProgressFeed(database, stream_seconds=0.1, poll_seconds=0.1)
    return app


@pytest.mark.slow
def test_responses_match_the_description(
    client: TestClient, server: str, database: Database, recordings: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        write_tone(recordings / f"{name}.wav")
    batch, _, keys = scanned(database, recordings)
    process(database, batch.id, keys, CountingTranscriber(), OneSpeaker(), tmp_path / "outbox")
    ran = subprocess.run(
        [
            *(
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "schemathesis.cli",
                "--no-color",
                "--config-file",
                str(CONFIG),
            ),
            *("run", f"{server}/openapi.json", "--checks", "all", "--max-examples", "8"),
            *("--seed", "1", "--phases", "examples,coverage,fuzzing,stateful"),
            *("-H", f"Authorization: {client.headers['Authorization']}", "--generation-database", "none"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-10_000:] + ran.stderr[-2_000:]
