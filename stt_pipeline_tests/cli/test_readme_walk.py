"""The README's commands, in its order, by a shell on a copy of the checkout: `make demo`, `make up`, a batch, its results.

Installing is not repeated: the copy's `.venv` is the environment of the tests.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stt_pipeline.cli.processes import orphans
from stt_pipeline_tests.conftest import SAMPLES

pytestmark = [pytest.mark.slow, pytest.mark.walk]

ROOT = Path(__file__).parents[2]
_SECONDS = 600.0  # for one command, on a busy machine
_NOT_COPIED = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "shared")
_NEEDS_S3 = {"stt batch create s3://recordings/2026", "stt watch add s3://recordings/calls"}
"""They need the reader's bucket; batches/test_s3_batch.py and cli/test_watch.py create such batches."""
_REFUSED = {
    "pause": "is completed",
    "cancel": "is completed",
    "retry": "no failed file",
}
"""What the actions say about a batch that has ended well."""


def commands() -> list[str]:
    """Return the lines of the README's code blocks, without their comments."""
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.S | re.M)
    return [re.sub(r"  +#.*", "", line).strip() for line in "".join(blocks).splitlines()]


@dataclass
class Reader:
    """A person who pastes one line after the other into a terminal; `cd` and `export` stay in force."""

    folder: Path
    environment: dict[str, str]
    lasting: list[str] = field(default_factory=list)
    opened: subprocess.Popen[str] | None = None

    def paste(self, line: str, *, codes: tuple[int, ...] = (0,)) -> str:
        """Run a line and return what it prints."""
        if line.startswith(("cd ", "export ")):
            self.lasting.append(line)
        keyboard, terminal = os.openpty()
        os.write(keyboard, b"y\n")  # for a line that asks
        try:
            ran = subprocess.run(
                ["bash", "-c", "\n".join(["set -e", *self.lasting, line])],
                cwd=self.folder,
                env=self.environment,
                stdin=terminal,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        finally:
            os.close(terminal)
            os.close(keyboard)
        assert ran.returncode in codes, f"{line}\n{ran.stdout}"
        assert "Traceback" not in ran.stdout
        return ran.stdout

    def leave_open(self, line: str, until: str) -> None:
        """Run a line that does not end, until it has printed ``until``."""
        printed = self.folder / "second terminal.txt"
        with printed.open("w") as output:
            self.opened = subprocess.Popen(
                ["bash", "-c", "\n".join(["set -e", *self.lasting, f"exec {line}"])],
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        deadline = time.monotonic() + _SECONDS
        while until not in printed.read_text():
            assert self.opened.poll() is None and time.monotonic() < deadline, printed.read_text()
            time.sleep(0.2)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout in which everything is installed."""
    copy = tmp_path / "stt_pipeline"
    shutil.copytree(ROOT, copy, ignore=_NOT_COPIED)
    shutil.copy(ROOT / ".env.example", copy)
    (copy / ".venv").mkdir()
    (copy / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    for stamp in (".installed", ".installed-development"):
        (copy / ".venv" / stamp).touch()
    return copy


@pytest.fixture
def reader(checkout: Path, tmp_path: Path) -> Iterator[Reader]:
    names = ("STT_", "DAGSTER_", "PYTHONWARNINGS", "MAKE", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "xdg-open").write_text(f'#!/bin/sh\necho "$1" >> "{tmp_path}/opened.txt"\n')
    (tools / "xdg-open").chmod(0o755)
    path = [
        part for part in environment["PATH"].split(os.pathsep) if part != str(Path(sys.executable).parent)
    ]
    environment |= {
        "PATH": os.pathsep.join([str(tools), *path]),
        "PYTHONPATH": str(checkout),  # `stt` of the environment runs the copy
        "STT_MODEL": "demo",  # the machine of the tests has no model hub
        "STT_UI_PORT": "0",
        "STT_API_PORT": "0",
        "STT_QUIET_PERIOD_SECONDS": "0",
    }
    person = Reader(tmp_path, environment)
    yield person
    if person.opened:
        os.killpg(person.opened.pid, signal.SIGINT)
        person.opened.wait(120)
    for process in orphans(checkout / ".stt"):
        process.kill()


def test_every_command_of_the_readme_does_what_it_says(
    reader: Reader, checkout: Path, tmp_path: Path
) -> None:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    shutil.copy(SAMPLES / "hiring-plan.flac", recordings / "board-meeting.flac")
    shutil.copy(SAMPLES / "weekly-budget.wav", recordings)
    shutil.copy(SAMPLES / "주간 회의.m4a", checkout / "talk.m4a")
    checks = _checks(checkout, tmp_path)
    lines = commands()
    assert lines[:2] == ["git clone REPOSITORY stt_pipeline", "cd stt_pipeline"]
    assert set(lines) >= _NEEDS_S3
    numbers = [
        int(number) for line in lines for number in re.findall(r"^stt (?:batch \w+|export|files) (\d+)", line)
    ]
    hint = ""
    for line in lines[1:]:
        if line in _NEEDS_S3 or line == "make test":  # which runs this test
            continue
        if line == "make up":
            reader.leave_open(line, until="Ready after")
            continue
        action = line.split()[2] if line.startswith("stt batch") else ""
        printed = reader.paste(
            line.replace("/path/to/recordings", str(recordings)),
            codes=(0, 1, 2) if action in _REFUSED else (0,),
        )
        if action == "create":
            (number,) = re.findall(r"^Batch (\d+) is created", printed, flags=re.M)
            assert set(numbers) == {int(number)}, "the README has the number that create prints"
            (hint,) = re.findall(r"^Follow it with: (.*)$", printed, flags=re.M)
        assert _REFUSED.get(action, "") in printed, printed
        for beginning, check in checks.items():
            if line.startswith(beginning):
                check(printed)
    assert re.fullmatch(r"stt batch progress \d+ --watch", hint)
    assert not (tmp_path / ".stt").exists()


def _checks(checkout: Path, tmp_path: Path) -> dict[str, Callable[[str], None]]:
    """Return what a command must have done, by the beginning of its line."""

    def transcribed(printed: str) -> None:
        page = (checkout / "talk.html").read_text()
        assert page.count('src="data:audio/mpeg;base64,') == 1
        assert page.count('<p class="line') > 5
        assert (tmp_path / "opened.txt").read_text().strip().endswith("talk.html")

    def demo(printed: str) -> None:
        assert f"open {checkout}/.stt/demo.html in a browser" in printed
        page = (checkout / ".stt" / "demo.html").read_text()
        assert page.count("<article ") == page.count('src="data:audio/mpeg;base64,') == 8
        # the first screen is the product's
        assert "Starting Postgres and Dagster" in "\n".join(printed.splitlines()[:4])

    def exported(printed: str) -> None:
        written = sorted(path.suffix for path in (checkout / "minutes").iterdir())
        assert written == [".html", ".html", ".md", ".md"]

    def listed(printed: str) -> None:
        assert "demo" in printed and "completed" in printed

    def found(printed: str) -> None:
        assert "board-meeting.flac" in printed

    return {
        "make demo": demo,
        ".venv/bin/stt transcribe": transcribed,
        "stt export": exported,
        "stt batch list": listed,
        "stt file ": found,
        "stt search": lambda printed: None,
    }
