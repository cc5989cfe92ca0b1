"""Supervised processes: stopped together, killed if they refuse, found after their parent is gone."""

import sys
import time
from pathlib import Path

from stt_pipeline.cli.processes import Child, end, orphans, stop
from stt_pipeline.cli.supervisor import Stack
from stt_pipeline.settings import Settings

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
# a grandchild in a session of its own, which no process group reaches
PARENT = "import subprocess, time; subprocess.Popen(['sleep', '60'], start_new_session=True); print('up', flush=True); time.sleep(60)"


def child(home: Path, script: str) -> Child:
    made = Child("child", [sys.executable, "-c", script], {}, home=home)
    made.start()
    for _ in range(100):
        if made.exit_code is not None or made.tail():
            break
        time.sleep(0.05)
    return made


def never() -> bool:
    return False


def test_stop_kills_only_what_does_not_end_by_itself(tmp_path: Path) -> None:
    deaf, good = child(tmp_path / "a", STUBBORN), child(tmp_path / "b", PARENT)
    stop([deaf, good], seconds=0.5, force=never)
    assert (deaf.exit_code, good.exit_code) == (-9, -15)
    end(orphans(tmp_path / "b"), seconds=5, force=never)


def test_haste_kills_at_once(tmp_path: Path) -> None:
    deaf = child(tmp_path, STUBBORN)
    began = time.monotonic()
    stop([deaf], seconds=30, force=lambda: True)
    assert deaf.exit_code == -9
    assert time.monotonic() - began < 5


def test_strays_are_the_descendants_of_one_home_only(tmp_path: Path) -> None:
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


def test_end_says_when_it_had_to_kill(tmp_path: Path) -> None:
    deaf = child(tmp_path, STUBBORN)
    assert not end(orphans(tmp_path), seconds=0.3, force=never)
    assert not orphans(tmp_path)
    assert deaf.exit_code is not None


def test_log_of_the_start_before_is_kept(tmp_path: Path) -> None:
    twice = Child(
        "twice", [sys.executable, "-c", "import os; print(os.environ['N'])"], {"N": "7"}, home=tmp_path
    )
    for _ in range(2):
        twice.start()
        while twice.exit_code is None:
            time.sleep(0.02)
    assert twice.tail() == "7"
    assert (tmp_path / "logs" / "twice.previous.log").read_text() == "7\n"


def test_an_api_that_keeps_ending_is_given_up_alone(tmp_path: Path) -> None:
    said: list[str] = []
    stack = Stack(Settings(home=tmp_path, _env_file=None), print_status=said.append, with_api=True)  # type: ignore[call-arg]
    api = Child("api", [sys.executable, "-c", "exit(2)"], {}, home=tmp_path)
    api.start()
    stack._children = [api]
    while stack._children:
        while api.exit_code is None:
            time.sleep(0.01)
        stack._restart(api)
    stack.check()
    assert len(said) == 3
    assert "the rest goes on without it" in said[-1]
