"""A Postgres that is not there and a home that cannot be written: every command says so, soon and without a stack trace."""

import time
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
    # restored afterwards, whatever a command sets for its own process
    for name in ("HF_HUB_OFFLINE", "STT_SMTP_URL"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.parametrize("command", _NEEDS_POSTGRES, ids=" ".join)
def test_no_postgres_there(stt: Stt, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setenv("STT_DATABASE_URL", "postgresql://stt:s3cr%C3%A9t@127.0.0.1:1/meetings")
    began = time.monotonic()
    ended = stt(*command)
    assert time.monotonic() - began < 5
    assert (ended.code, ended.out) == (2, "")
    *before, message = ended.err.splitlines()
    assert message.startswith("Postgres cannot be used: 127.0.0.1, port 1, database meetings (user stt). ")
    assert "Check that STT_DATABASE_URL names the right host" in message
    assert all(line.startswith("Starting") for line in before)
    assert "s3cr" not in ended.err


@pytest.mark.parametrize("command", _NEEDS_POSTGRES, ids=" ".join)
def test_a_home_that_cannot_be_made(
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


def test_the_doctor_names_such_a_home(stt: Stt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STT_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setenv("STT_MODEL", "demo")
    ended = stt("doctor", "--json")
    assert ended.code == 1
    assert '{"name": "STT_HOME", "state": "fail"' in ended.out


def test_a_wrong_address_is_refused_without_showing_it(stt: Stt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STT_DATABASE_URL", "mysql://stt:s3cret@127.0.0.1/x")
    ended = stt("batch", "list")
    assert ended.code == 2
    assert ended.err.startswith("STT_DATABASE_URL is not the URL of a Postgres database.")
    assert "s3cret" not in ended.err
