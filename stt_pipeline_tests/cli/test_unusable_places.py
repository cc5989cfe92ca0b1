"""A Postgres that does not answer and a home that is not writable: each command prints one line, without retries."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stt_pipeline_tests.cli.conftest import Stt

_NEEDS_POSTGRES = [
    ("batch", "list"),
    ("batch", "create", "."),
    ("batch", "progress", "1"),
    ("batch", "progress", "1", "--watch", "--json"),
    ("batch", "cancel", "1", "--yes"),
    ("export", "1"),
    ("db", "upgrade"),
    ("up", "--port", "0"),
    ("demo", "--json"),
]


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STT_HOME", str(tmp_path / "home"))
    # restored afterwards, if a command sets them for its own process
    for name in ("HF_HUB_OFFLINE", "STT_SMTP_URL"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.parametrize("command", _NEEDS_POSTGRES, ids=" ".join)
def test_no_postgres_answers(stt: Stt, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setenv("STT_DATABASE_URL", "postgresql://stt:s3cr%C3%A9t@127.0.0.1:1/meetings")
    pauses = list[float]()

    def sleep(seconds: float, real: Callable[[float], None] = time.sleep) -> None:
        if threading.current_thread() is threading.main_thread():
            pauses.append(seconds)
        real(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    ended = stt(*command)
    assert sum(pauses) < 5, "the user does not wait for retries"
    assert (ended.code, ended.out) == (2, "")
    *before, message = ended.err.splitlines()
    assert message.startswith("Postgres cannot be used: 127.0.0.1, port 1, database meetings (user stt). ")
    assert "Check that STT_DATABASE_URL names the right host" in message
    assert all(line.startswith("Starting") for line in before)
    assert "s3cr" not in ended.err


@pytest.mark.parametrize("command", _NEEDS_POSTGRES, ids=" ".join)
def test_a_home_that_cannot_be_created(
    stt: Stt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STT_HOME", str(tmp_path / "file" / "home"))
    ended = stt(*command)
    assert (ended.code, ended.out) == (2, "")
    *before, message = ended.err.splitlines()
    assert message.startswith(
        f"STT_HOME is {tmp_path}/file/home, which this user cannot use: Not a directory"
    )
    assert "to a folder" in message
    assert all(line.startswith("Starting") for line in before)


def test_the_doctor_reports_such_a_home(stt: Stt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STT_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setenv("STT_MODEL", "demo")
    ended = stt("doctor", "--json")
    assert ended.code == 1
    assert '{"name": "STT_HOME", "state": "fail"' in ended.out


def test_a_wrong_url_is_rejected_without_showing_it(stt: Stt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STT_DATABASE_URL", "mysql://stt:s3cret@127.0.0.1/x")
    ended = stt("batch", "list")
    assert ended.code == 2
    assert ended.err.startswith("STT_DATABASE_URL is not the URL of a Postgres database.")
    assert "s3cret" not in ended.err
