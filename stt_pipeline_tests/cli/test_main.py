"""`stt`: errors as one line with an exit code, and `stt doctor`."""

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from stt_pipeline.batches.execution.dispatch import tick
from stt_pipeline.cli.main import run
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline_tests.rows import Rows


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STT_HOME", str(tmp_path / ".stt"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("STT_DATABASE_URL", "DAGSTER_HOME", "STT_SMTP_URL"):
        monkeypatch.delenv(name, raising=False)


def stt(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["stt", *arguments])
    with pytest.raises(SystemExit) as ended:
        run()
    return int(ended.value.code or 0)


def test_help_lists_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stt(monkeypatch, "--help") == 0
    said = capsys.readouterr().out
    for command in ("demo", "up", "transcribe", "evaluate", "batch", "export", "doctor", "db", "env"):
        assert f"{command} " in said


def test_wrong_setting(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("STT_UI_PORT", "70000")
    assert stt(monkeypatch, "doctor") == 2
    assert capsys.readouterr().err == "STT_UI_PORT: Input should be less than or equal to 65535.\n"


@pytest.mark.parametrize("name", ["Mars/Olympus", "Asia", "/etc/passwd", ""])
@pytest.mark.parametrize("command", [("doctor",), ("watch", "add", ".")])
def test_wrong_time_zone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], name: str
) -> None:
    monkeypatch.setenv("STT_TIMEZONE", name)
    assert stt(monkeypatch, *command) == 2
    said = f"STT_TIMEZONE: {name!r} is not a time zone: give an IANA name such as Asia/Seoul, or UTC.\n"
    assert capsys.readouterr().err == said


def test_unreachable_database(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("STT_DATABASE_URL", "postgresql://stt:s3cret@127.0.0.1:1/x")
    assert stt(monkeypatch, "batch", "list") == 2
    said = capsys.readouterr().err
    assert said.startswith("Postgres cannot be used: 127.0.0.1, port 1, database x (user stt). ")
    assert "s3cret" not in said
    assert said.count("\n") == 1


def test_env_without_a_server(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert stt(monkeypatch, "env") == 2
    assert "start `stt up` in another terminal first" in capsys.readouterr().err


def test_doctor_of_a_fresh_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("STT_MODEL", "demo")
    assert stt(monkeypatch, "doctor", "--json") == 0
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert [name for name, check in checks.items() if check["state"] == "fail"] == []
    assert checks["speech model"]["found"].startswith("demo on ")
    assert "not running now" in checks["Postgres"]["found"]
    assert checks["Dagster"]["found"] == "`stt up` does not run on this STT_HOME"
    assert not (tmp_path / ".stt").exists()


def test_doctor_of_a_broken_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STT_DATABASE_URL", "postgresql://stt:s3cret@127.0.0.1:1/x")
    monkeypatch.setenv("STT_MODEL", "/no/such/folder")
    monkeypatch.setenv("STT_SMTP_URL", "smtp://stt:s3cret@127.0.0.1:1")
    monkeypatch.setenv("STT_DATA_URI", "gs://bucket")
    assert stt(monkeypatch, "doctor", "--json") == 1
    said = capsys.readouterr().out
    assert "s3cret" not in said
    failed = {check["name"] for check in json.loads(said)["checks"] if check["state"] == "fail"}
    assert failed == {"Postgres", "speech model", "mail", "data folder"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://stt:s3cret@127.0.0.1:1", "127.0.0.1:1"),
        ("http://mail", "STT_SMTP_URL must look like smtp://"),
    ],
)
def test_up_reports_a_wrong_mail_setting_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str, expected: str
) -> None:
    monkeypatch.setenv("STT_SMTP_URL", url)
    monkeypatch.setenv("STT_DATABASE_URL", "postgresql://127.0.0.1:1/x")  # so that nothing is started
    assert stt(monkeypatch, "up", "--port", "0") == 2
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first.startswith("No mail can be sent. ")
    assert expected in first
    assert "s3cret" not in first
    assert second.startswith("Starting in ")


@pytest.mark.slow
def test_doctor_writes_to_a_bucket_and_deletes_its_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bucket: str
) -> None:
    monkeypatch.setenv("STT_MODEL", "demo")

    def found(uri: str) -> dict[str, str]:
        monkeypatch.setenv("STT_DATA_URI", uri)
        capsys.readouterr()
        stt(monkeypatch, "doctor", "--json")
        checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
        return dict(checks["data folder"])

    check = found(f"s3://{bucket}/data")
    assert (check["state"], check["found"]) == ("ok", f"s3://{bucket}/data")
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=bucket)
    check = found("s3://no-such-bucket/data")
    assert check["state"] == "fail"
    assert check["found"].startswith("The bucket 'no-such-bucket' does not exist. Create it")


def test_doctor_shows_the_last_tick_of_the_dispatcher(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], database: Database
) -> None:
    monkeypatch.setenv("STT_MODEL", "demo")
    monkeypatch.setenv("STT_DATABASE_URL", database.url)

    def dispatcher() -> tuple[str, str]:
        capsys.readouterr()
        stt(monkeypatch, "doctor", "--json")
        checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
        return checks["dispatcher"]["state"], checks["dispatcher"]["found"]

    assert dispatcher() == ("warn", "has never ticked")
    tick(database, max_shards_in_flight=1, max_active_batches=1, max_attempts=1)
    state, found = dispatcher()
    assert state == "ok"
    assert re.fullmatch(r"ticked \d s ago", found)
    Rows(database).change(tables.heartbeats, beat_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    state, found = dispatcher()
    assert state == "warn"
    assert found.startswith("last ticked 2026-01-0")


def test_doctor_prints_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("STT_MODEL", "demo")
    assert stt(monkeypatch, "doctor") == 0
    assert "what to do" in capsys.readouterr().out
