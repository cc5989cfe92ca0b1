"""The mail about failed runs: over a real mail server, with the reason and a link, and never a flood."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from stt_pipeline.defs.run_tags import BATCH_TAG, FAILED_RECORDINGS_TAG
from stt_pipeline.defs.sensors.run_failures import run_failure_alerts
from stt_pipeline.errors import EmailError
from stt_pipeline.settings import Settings
from stt_pipeline_tests.mail.smtp_servers import Inbox, smtp_server


@dg.op
def fails() -> None:
    raise dg.Failure("The disk of the data folder is full: delete files.")


@dg.job
def breaks() -> None:
    fails()


class Alerts:
    """The sensor on an instance of its own, tick by tick with its cursor."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: str | None = None

    def fail_a_run(self, **tags: str) -> str:
        return breaks.execute_in_process(
            instance=self.instance, tags=tags, raise_on_error=False
        ).dagster_run.run_id

    def tick(self) -> str:
        context = dg.build_sensor_context(
            self.instance, cursor=self.cursor, resources={"settings": Settings()}
        )
        reason = run_failure_alerts(context)
        self.cursor = context.cursor  # as Dagster does, only after a tick that succeeded
        assert isinstance(reason, dg.SkipReason)
        return str(reason.skip_message)

    def let_ten_minutes_pass(self) -> None:
        state = json.loads(self.cursor or "")
        self.cursor = json.dumps({**state, "mailed_at": state["mailed_at"] - 600})


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    box = Inbox()
    with smtp_server(box) as address:
        monkeypatch.setenv("STT_SMTP_URL", f"smtp://{address}")
        monkeypatch.setenv("STT_ALERT_EMAILS", "ops@example.com, kim@example.com")
        monkeypatch.setenv("STT_DAGSTER_URL", "https://dagster.example.com/")
        yield box


@pytest.fixture
def sensor(tmp_path: Path) -> Iterator[Alerts]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield Alerts(instance)


def test_a_failed_run_is_mailed_with_its_reason_and_a_link(inbox: Inbox, sensor: Alerts) -> None:
    sensor.fail_a_run()  # before the first tick: an old failure
    sensor.tick()
    assert inbox.messages == []
    run_id = sensor.fail_a_run(**{BATCH_TAG: "12"})
    sensor.tick()
    assert [message["To"] for message in inbox.messages] == ["ops@example.com", "kim@example.com"]
    message = inbox.messages[0]
    assert message["Subject"] == "[stt_pipeline] 1 run failed: breaks"
    for kind in ("plain", "html"):
        body = message.get_body((kind,))
        assert body is not None
        text = body.get_content()
        assert "The disk of the data folder is full: delete files." in text
        assert f"https://dagster.example.com/runs/{run_id}" in text
        assert "batch 12" in text


def test_many_failures_are_one_mail_and_the_next_one_waits(inbox: Inbox, sensor: Alerts) -> None:
    sensor.tick()
    for _ in range(3):
        sensor.fail_a_run()
    sensor.tick()
    sensor.fail_a_run()
    assert "The next mail may go at" in sensor.tick()
    assert [message["Subject"] for message in inbox.messages[::2]] == ["[stt_pipeline] 3 runs failed: breaks"]
    sensor.let_ten_minutes_pass()
    sensor.tick()
    assert [message["Subject"] for message in inbox.messages[2::2]] == ["[stt_pipeline] 1 run failed: breaks"]
    sensor.let_ten_minutes_pass()
    assert sensor.tick() == "No run failed."


def test_failures_of_single_recordings_are_not_mailed(inbox: Inbox, sensor: Alerts) -> None:
    sensor.tick()
    sensor.fail_a_run(**{FAILED_RECORDINGS_TAG: "2"})
    assert sensor.tick() == "No run failed."
    assert inbox.messages == []


def test_one_refused_address_does_not_keep_the_mail_from_others(inbox: Inbox, sensor: Alerts) -> None:
    inbox.refuse = "ops@example.com"
    sensor.tick()
    sensor.fail_a_run()
    sensor.tick()
    assert [message["To"] for message in inbox.messages] == ["kim@example.com"]


def test_a_mail_that_reached_nobody_is_sent_by_a_later_tick(
    inbox: Inbox, sensor: Alerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor.tick()
    sensor.fail_a_run()
    works = Settings().smtp_url
    monkeypatch.setenv("STT_SMTP_URL", "smtp://127.0.0.1:9")
    with pytest.raises(EmailError):
        sensor.tick()
    monkeypatch.setenv("STT_SMTP_URL", works)
    sensor.tick()
    assert len(inbox.messages) == 2


def test_without_recipients_nothing_is_kept_for_later(
    inbox: Inbox, sensor: Alerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STT_ALERT_EMAILS", "")
    assert sensor.tick() == "STT_ALERT_EMAILS is empty."
    sensor.fail_a_run()
    sensor.tick()
    monkeypatch.setenv("STT_ALERT_EMAILS", "ops@example.com")
    assert sensor.tick() == "No run failed."
