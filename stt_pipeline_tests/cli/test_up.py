"""`stt up` with real Postgres, webserver, daemon and code server, which are killed in several ways.

The tests share one home and run in order, since a start takes many seconds.
"""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
import requests
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test

from stt_pipeline.cli.processes import orphans
from stt_pipeline.cli.stack_lock import running_stack
from stt_pipeline.cli.supervisor import Stack
from stt_pipeline.cli.webserver import is_reachable, is_ready
from stt_pipeline.defs.abandoned_runs import fail_runs_of
from stt_pipeline.errors import ConfigurationError, SttError
from stt_pipeline.settings import Settings
from stt_pipeline.store.server.embedded import running_url
from stt_pipeline_tests.cli.up_process import STT, Up, command_line, stopped_at_end

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with stopped_at_end(Up(tmp_path_factory.mktemp("a folder with spaces"))) as made:
        made.start()
        yield made


def test_ready_means_that_the_ui_answers_and_the_daemon_is_alive(up: Up) -> None:
    stack = running_stack(up.settings)
    assert stack is not None
    assert (
        f"Dagster UI {stack.ui_url} · Postgres in {up.home / 'postgres'} · outbox {up.home / 'outbox'}"
        in up.said
    )
    assert is_ready(stack.ui_url, daemon_since=psutil.Process(stack.pid).create_time())
    assert "The admin API has no key yet." in up.said


def test_dagsters_tables_are_created_by_one_process(up: Up) -> None:
    stack = running_stack(up.settings)
    assert stack is not None
    (webserver,) = (process for process in orphans(up.home) if "dagster_webserver" in command_line(process))
    # The code server opens its socket after it has created the tables, seconds after its own start. A process's time of
    # creation counts from the time of boot, which /proc has in whole seconds, so it may be up to a second early.
    assert webserver.create_time() > Path(stack.code_server).stat().st_ctime - 1


def test_a_second_stack_on_the_same_home_is_rejected(up: Up) -> None:
    stack = running_stack(up.settings)
    assert stack is not None
    second = up.run("up", "--port", stack.ui_url.rsplit(":")[-1])
    assert second.returncode == 2
    assert second.stderr.splitlines()[-1] == (
        f"`stt up` already runs on {up.home}: process {stack.pid}, UI {stack.ui_url}."
    )


def test_a_second_stack_on_the_same_database_is_rejected(up: Up, tmp_path: Path) -> None:
    url = running_url(up.settings)
    assert url is not None and up.process is not None
    settings = Settings(home=tmp_path, database_url=url, ui_port=0, _env_file=None)
    with pytest.raises(ConfigurationError, match="Another stack runs on this database") as refused:
        Stack(settings, print_status=print).__enter__()
    assert f"stt up, process {up.process.pid} on " in str(refused.value)
    assert not orphans(tmp_path)


def test_env_connects_to_the_same_instance(up: Up) -> None:
    script = f"""eval "$({sys.executable} -c 'from stt_pipeline.cli.main import run; run()' env)"
        exec {sys.executable} -W ignore -m dagster instance info"""
    info = subprocess.run(
        ["sh", "-c", script], cwd=up.folder, env=up.environment, capture_output=True, text=True, check=True
    ).stdout
    assert f"$DAGSTER_HOME: {up.home / 'dagster'}" in info
    assert "run_storage: PostgresRunStorage" in info
    assert "max_concurrent_runs: 4" in info


def test_doctor_reports_the_running_stack(up: Up) -> None:
    checks = {check["name"]: check for check in json.loads(up.run("doctor", "--json").stdout)["checks"]}
    for name in ("Postgres", "schema", "Dagster"):
        assert checks[name]["state"] == "ok", checks[name]
    assert "temporary, empty instance" in checks["this shell"]["found"]


def test_the_api_starts_when_a_key_exists(up: Up) -> None:
    refused = up.run("api")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Create one with `stt key create --role admin`" in refused.stderr
    made = up.run("key", "create", "--role", "viewer", "--name", "tests")
    key = made.stdout.strip()
    # `stt up` also polls for a key
    up.wait(lambda: "Admin API http" in up.said)
    (announced,) = re.findall(r"^Admin API (http://127.0.0.1:\d+)$", up.said, flags=re.M)
    assert requests.get(f"{announced}/health", timeout=10).ok
    with subprocess.Popen(
        [*STT, "api"],
        cwd=up.folder,
        env=up.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        url = ready.split()[2]
        assert ready == f"Admin API {url} · stop with Ctrl-C\n"
        assert is_reachable(f"{url}/health")
        batches = f"{url}/api/v1/admin/stt-batches"
        assert (
            requests.get(batches, headers={"Authorization": f"Bearer {key}"}, timeout=10).status_code == 200
        )
        assert requests.get(batches, timeout=10).status_code == 401
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stdout.read() == ""


def test_a_killed_code_server_is_restarted(up: Up) -> None:
    (before,) = up.code_servers()
    before.kill()
    up.wait(lambda: "Restarting it." in up.said)
    assert "The code-server ended (exit code -9)." in up.said
    stack = running_stack(up.settings)
    assert stack is not None
    began = time.time()
    up.wait(lambda: Path(stack.code_server).exists() and is_ready(stack.ui_url, daemon_since=began - 60))
    assert [process.pid for process in up.code_servers()] != [before.pid]


def test_a_start_after_kill_9_cleans_up_and_ctrl_c_ends_everything(up: Up) -> None:
    assert up.process is not None
    up.process.kill()
    up.process.wait()
    left = orphans(up.home)
    assert len(left) == 4
    assert running_url(up.settings) is not None

    up.start()
    assert "The last `stt up` was killed: ending its 4 remaining processes." in up.said
    assert not [
        process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]

    (url,) = re.findall(r"admin API (http://127.0.0.1:\d+)", up.said)
    assert requests.get(f"{url}/health", timeout=10).json()["parts"]["database"] == "ok"

    began = time.monotonic()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(120) == 0
    assert time.monotonic() - began < 100
    assert up.said.rstrip().endswith("Stopped.")
    assert not orphans(up.home)
    assert running_url(up.settings) is None
    assert running_stack(up.settings) is None
    assert (up.home / "stack.json").read_text() == ""


def test_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = Settings(home=tmp_path / "home", database_url="", ui_port=port, _env_file=None)
        with pytest.raises(
            ConfigurationError, match=f"cannot use port {port} on 127.0.0.1: Address already in use"
        ):
            Stack(settings, print_status=print).__enter__()
    assert not orphans(tmp_path / "home")


def test_definitions_that_do_not_load(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", database_url="", ui_port=0, _env_file=None)
    with pytest.raises(SttError) as caught:
        Stack(settings, print_status=print, module="no_such_module").__enter__()
    assert "The code-server ended (exit code 1). The end of" in str(caught.value)
    assert "No module named 'no_such_module'" in str(caught.value)
    assert not orphans(settings.home)
    assert running_url(settings) is None


def test_runs_of_a_code_server_that_is_gone_are_given_up() -> None:
    with dg.DagsterInstance.ephemeral() as instance:

        def run(status: dg.DagsterRunStatus, code_server: str) -> str:
            tags = {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": code_server})}
            return create_run_for_test(instance, job_name="job", status=status, tags=tags).run_id

        started = run(dg.DagsterRunStatus.STARTED, "/tmp/gone")
        done = run(dg.DagsterRunStatus.SUCCESS, "/tmp/gone")
        others = run(dg.DagsterRunStatus.STARTED, "/tmp/alive")
        assert fail_runs_of(instance, "/tmp/gone") == 1
        statuses = {stored.run_id: stored.status for stored in instance.get_runs()}
        assert statuses == {
            started: dg.DagsterRunStatus.FAILURE,
            done: dg.DagsterRunStatus.SUCCESS,
            others: dg.DagsterRunStatus.STARTED,
        }
