"""Supervised processes: stopped together, killed if they do not stop, found after their parent ended."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stt_pipeline.cli.processes import Child, ReservedPorts, end, orphans, stop
from stt_pipeline.cli.restarts import MAX_CRASHES, Restarter
from stt_pipeline.cli.services import Service

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('stubborn', flush=True); time.sleep(60)"
# a grandchild in its own session, which no process group includes
PARENT = "import subprocess, time; subprocess.Popen(['sleep', '60'], start_new_session=True); print('up', flush=True); time.sleep(60)"


@pytest.fixture(autouse=True)
def sigterm_ends_children() -> Iterator[None]:
    """Children inherit an ignored SIGTERM, and Dagster ignores it in a process that was started with SIGINT ignored."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def python(name: str, script: str) -> Service:
    return Service(name, (sys.executable, "-c", script))


def child(home: Path, script: str) -> Child:
    made = Child(python("child", script), {}, home=home)
    made.start()
    deadline = time.monotonic() + 60
    while made.exit_code is None and not made.tail():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return made


def never() -> bool:
    return False


@pytest.mark.slow
def test_stop_kills_only_what_ignores_sigterm(tmp_path: Path) -> None:
    stubborn, good = child(tmp_path / "a", STUBBORN), child(tmp_path / "b", PARENT)
    stop([stubborn, good], seconds=0.5, force=never)
    assert (stubborn.exit_code, good.exit_code) == (-9, -15)
    end(orphans(tmp_path / "b"), seconds=5, force=never)


def test_force_kills_at_once(tmp_path: Path) -> None:
    stubborn = child(tmp_path, STUBBORN)
    began = time.monotonic()
    stop([stubborn], seconds=3600, force=lambda: True)
    assert stubborn.exit_code == -9
    assert time.monotonic() - began < 600


@pytest.mark.slow
def test_orphans_are_only_the_descendants_of_one_home(tmp_path: Path) -> None:
    mine, other = child(tmp_path / "mine", PARENT), child(tmp_path / "other", PARENT)
    found = orphans(tmp_path / "mine")
    assert sorted(process.name() for process in found)[-1] == "sleep"
    assert len(found) == 2
    assert end(found, seconds=5, force=never)
    assert not orphans(tmp_path / "mine")
    assert mine.exit_code is not None
    assert len(orphans(tmp_path / "other")) == 2
    assert end(orphans(tmp_path / "other"), seconds=5, force=never)
    assert other.exit_code is not None


@pytest.mark.slow
def test_end_returns_false_after_a_kill(tmp_path: Path) -> None:
    stubborn = child(tmp_path, STUBBORN)
    assert not end(orphans(tmp_path), seconds=0.3, force=never)
    assert not orphans(tmp_path)
    assert stubborn.exit_code is not None


def test_the_previous_log_is_kept(tmp_path: Path) -> None:
    twice = Child(python("twice", "import os; print(os.environ['N'])"), {"N": "7"}, home=tmp_path)
    for _ in range(2):
        twice.start()
        while twice.exit_code is None:
            time.sleep(0.02)
    assert twice.tail() == "7"
    assert (tmp_path / "logs" / "twice.previous.log").read_text() == "7\n"


def test_children_that_end_together_are_all_restarted(tmp_path: Path) -> None:
    printed: list[str] = []
    children = [Child(python(f"child-{n}", PARENT), {}, home=tmp_path) for n in range(MAX_CRASHES + 1)]
    for made in children:
        made.start()
    restarter = Restarter(children, print_status=printed.append)
    end(orphans(tmp_path), seconds=0, force=lambda: True)
    while any(made.exit_code is None for made in children):
        time.sleep(0.01)
    assert restarter.restart_ended() == [made.name for made in children]
    assert restarter.failure is None
    assert len(printed) == len(children)
    assert all(made.exit_code is None for made in children)
    end(orphans(tmp_path), seconds=0, force=lambda: True)
    stop(children, seconds=0, force=lambda: True)


def crashes(service: Service, home: Path) -> tuple[Restarter, list[str]]:
    """Crash a child until it is not restarted; return the restarter and its messages."""
    printed: list[str] = []
    crashing = Child(service, {}, home=home)
    crashing.start()
    restarter = Restarter([crashing], print_status=printed.append)
    while restarter.children and restarter.failure is None:
        while crashing.exit_code is None:
            time.sleep(0.01)
        restarter.restart_ended()
    return restarter, printed


def test_an_api_that_keeps_crashing_stops_alone(tmp_path: Path) -> None:
    restarter, printed = crashes(python("api", "exit(2)"), tmp_path)
    assert restarter.failure is None
    assert len(printed) == MAX_CRASHES
    assert "the other processes continue without it" in printed[-1]


def test_another_process_that_keeps_crashing_stops_everything(tmp_path: Path) -> None:
    restarter, printed = crashes(python("daemon", "exit(2)"), tmp_path)
    assert restarter.failure is not None
    assert "The daemon ended (exit code 2)." in restarter.failure
    assert len(printed) == MAX_CRASHES - 1


@pytest.mark.skipif(sys.platform != "linux", reason="ports are reserved on Linux only")
def test_a_reserved_port_is_for_its_server() -> None:
    async def listen(port: int) -> None:
        async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", port):
            pass

    with ReservedPorts() as ports:
        port = ports.reserve("127.0.0.1", 0, what="The UI", setting="STT_UI_PORT")
        with socket.socket() as other, pytest.raises(OSError, match="Address already in use"):
            other.bind(("127.0.0.1", port))
        asyncio.run(listen(port))
        asyncio.run(listen(port))  # as after a restart
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
