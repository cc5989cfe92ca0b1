"""`stt batch create --notify` and `stt watch add --notify` check the mail settings before the work begins."""

import json

import pytest

from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches
from stt_pipeline_tests.cli.conftest import STALE_DISPATCHER, Stt
from stt_pipeline_tests.mail.smtp_servers import Inbox, free_port, smtp_server

COMMANDS = pytest.mark.parametrize("command", [("batch", "create"), ("watch", "add")], ids=" ".join)


@COMMANDS
@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("STT_SMTP_URL", "mail.example.com:25", "STT_SMTP_URL must look like smtp://"),
        ("STT_SMTP_URL", "smtp://mail.example.com", "STT_MAIL_FROM is stt@localhost"),
        ("STT_MAIL_FROM", "nobody", "STT_MAIL_FROM is invalid"),
    ],
)
def test_a_wrong_setting_is_an_error_and_nothing_is_written(
    stt_on_database: Stt,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, str],
    setting: str,
    value: str,
    reason: str,
) -> None:
    monkeypatch.setenv(setting, value)
    refused = stt_on_database(*command, ".", "--notify", "kim@example.com")
    assert refused.code == 2 and reason in " ".join(refused.err.split())
    with database.begin() as connection:
        assert batches.latest(connection, 10) == []
    assert stt_on_database(*command, ".").code == 0  # without recipients no mail is sent


@COMMANDS
def test_a_server_that_is_down_is_a_warning(
    stt_on_database: Stt, database: Database, monkeypatch: pytest.MonkeyPatch, command: tuple[str, str]
) -> None:
    monkeypatch.setenv("STT_SMTP_URL", f"smtp://127.0.0.1:{free_port()}")
    created = stt_on_database(*command, ".", "--notify", "kim@example.com", "--json")
    assert created.code == 0 and json.loads(created.out)["id"] == 1
    assert "does not accept mails" in created.err


@COMMANDS
def test_a_server_that_answers_gives_no_warning(
    stt_on_database: Stt, database: Database, monkeypatch: pytest.MonkeyPatch, command: tuple[str, str]
) -> None:
    inbox = Inbox()
    with smtp_server(inbox) as host:
        monkeypatch.setenv("STT_SMTP_URL", f"smtp://{host}")
        created = stt_on_database(*command, ".", "--notify", "kim@example.com")
    assert (created.code, created.err, inbox.messages) == (0, STALE_DISPATCHER, [])
