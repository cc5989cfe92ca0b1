"""`stt api` prints its address when it answers, not before."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from stt_pipeline.api import keys
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database


@pytest.mark.slow
def test_the_address_is_printed_when_the_api_answers(database: Database, tmp_path: Path) -> None:
    keys.create(database, name="tests", role="viewer", actor=Actor("tests"))
    command = [sys.executable, "-m", "stt_pipeline.cli.main", "api", "--port", "0"]
    variables = {**os.environ, "STT_HOME": str(tmp_path), "STT_DATABASE_URL": database.url}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            address = next(line for line in process.stdout if "Admin API" in line).split()[2]
            # no second attempt: the first connection succeeds
            assert httpx.get(f"{address}/openapi.json", timeout=60).status_code == 200
        finally:
            process.terminate()
