"""Dagster's own commands in a fresh clone: no instance, no database and no variable of ours."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from stt_pipeline_tests.mail.smtp_servers import free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files at the top of the checkout that Dagster reads, and of the package."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("pyproject.toml", "dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(
        ROOT / "stt_pipeline", folder / "stt_pipeline", ignore=shutil.ignore_patterns("__pycache__")
    )
    return folder


def _environment(clone: Path) -> dict[str, str]:
    return {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(clone / "home"), "PYTHONPATH": str(clone)}


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("dagster definitions validate", "All code locations passed validation"),
        ("dg check defs", "All definitions loaded successfully"),
        ("dg list defs", "compacted_datasets"),
    ],
)
def test_a_command_works_in_a_fresh_clone(command: str, shown: str, clone: Path) -> None:
    done = subprocess.run(
        [BIN / command.split()[0], *command.split()[1:]],
        cwd=clone,
        env=_environment(clone),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout + done.stderr


def test_dagster_dev_dispatches_in_a_fresh_clone(clone: Path) -> None:
    port = free_port("127.0.0.1")
    log = clone / "dev.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [BIN / "dagster", "dev", "--host", "127.0.0.1", "--port", str(port)],
            cwd=clone,
            env=_environment(clone),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}/server_info"
            while not (
                _answers(url) and "Sensor batch_dispatcher skipped: No batch waits" in log.read_text()
            ):
                assert process.poll() is None, log.read_text()
                assert "Traceback" not in log.read_text(), log.read_text()
                time.sleep(0.3)
        finally:
            # it may wait forever for one of its processes
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            # the last command that uses the embedded Postgres stops it
            command = [BIN / "stt", "batch", "list"]
            subprocess.run(command, cwd=clone, env=_environment(clone), check=False, capture_output=True)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
