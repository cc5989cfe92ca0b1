"""The logs of supervised processes: limited in size, complete, and without colour codes."""

import sys
import time
from pathlib import Path

import pytest

from stt_pipeline.cli.processes import Child
from stt_pipeline.cli.rotated_log import RotatedLog, copy
from stt_pipeline.cli.services import Service


def lines_in(folder: Path) -> list[bytes]:
    """Return the lines of all files of a log, the oldest first."""
    paths = sorted(folder.glob("a.log*"), reverse=True)  # a.log.2, a.log.1, a.log
    return [line for path in paths for line in path.read_bytes().splitlines()]


def test_rotation_loses_no_line_and_bounds_each_file(tmp_path: Path) -> None:
    log = RotatedLog(tmp_path / "a.log", max_bytes=1_000, old_files=4)
    lines = [b"line %04d\n" % number for number in range(450)]
    copy(lines, log, None, "a")
    log.close()
    assert all(path.stat().st_size <= 1_000 for path in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 5
    assert lines_in(tmp_path)[::-1] == [line.rstrip() for line in lines[::-1]]


def test_old_files_are_deleted(tmp_path: Path) -> None:
    log = RotatedLog(tmp_path / "a.log", max_bytes=100, old_files=2)
    copy((b"line %04d\n" % number for number in range(100)), log, None, "a")
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2"]
    assert lines_in(tmp_path) == [b"line %04d" % number for number in range(70, 100)]


def test_two_writers_of_one_file_lose_no_line(tmp_path: Path) -> None:
    """After a restart, runs of the last code server still write beside the new one."""
    first, second = (RotatedLog(tmp_path / "a.log", max_bytes=1_000, old_files=9) for _ in range(2))
    for number in range(400):
        (first if number % 3 else second).write(b"line %04d\n" % number)
    first.close()
    second.close()
    assert lines_in(tmp_path) == [b"line %04d" % number for number in range(400)]


@pytest.mark.parametrize(
    "text", [b"\x1b[32mdone\x1b[0m\n", b"\x1b[38;5;214mdone\x1b[K\n", b"\x1b]0;title\x07done\n", b"done\n"]
)
def test_colour_codes_are_removed(tmp_path: Path, text: bytes) -> None:
    log = RotatedLog(tmp_path / "a.log")
    copy([text], log, None, "a")
    log.close()
    assert (tmp_path / "a.log").read_bytes() == b"done\n"


def test_a_child_has_a_plain_log_and_no_colours(tmp_path: Path) -> None:
    script = "import os, sys; print('\\x1b[31mred\\x1b[0m', os.environ['NO_COLOR']); sys.exit('the end')"
    child = Child(Service("child", (sys.executable, "-c", script)), {}, home=tmp_path)
    child.start()
    while child.exit_code is None:
        time.sleep(0.02)
    assert child.tail().splitlines() == ["red 1", "the end"]


def test_logs_are_copied_to_stdout_with_the_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    service = Service("child", (sys.executable, "-c", "print('hello')"))
    child = Child(service, {}, home=tmp_path, logs_to="stdout")
    child.start()
    while child.exit_code is None:
        time.sleep(0.02)
    assert child.tail() == "hello"
    assert capfd.readouterr().out == "child: hello\n"
