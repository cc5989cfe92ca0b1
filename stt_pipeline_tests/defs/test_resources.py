"""The resources give the backend that the options of a batch name, else the backend of the settings."""

from typing import Any

import dagster as dg
import pytest

from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.defs.resources import resources
from stt_pipeline.mail.notifier import MailNotifier
from stt_pipeline.notify.recipients import Recipient
from stt_pipeline.speech.diarization import ChannelDiarizer, SingleSpeaker


def _made(name: str) -> Any:
    return resources()[name](dg.build_init_resource_context())


def test_options_override_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STT_DIARIZER", "none")
    diarizer_for = _made("diarizers")
    assert isinstance(diarizer_for(BatchOptions()), SingleSpeaker)
    assert isinstance(diarizer_for(BatchOptions(diarizer="channel")), ChannelDiarizer)
    assert diarizer_for(BatchOptions()) is diarizer_for(BatchOptions(diarizer="none"))


def test_batches_with_one_model_share_a_transcriber(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STT_MODEL", "small")
    transcriber_for = _made("transcribers")
    key = transcriber_for.key(BatchOptions())
    assert key == transcriber_for.key(BatchOptions(model="small", language="ko"))
    assert key != transcriber_for.key(BatchOptions(model="demo"))


def test_a_recipient_gets_the_notifier_of_its_scheme() -> None:
    notifier_for = _made("notifiers")
    notifier = notifier_for(Recipient.parse("kim@example.com"))
    assert isinstance(notifier, MailNotifier) and notifier.name == "outbox"


def test_descriptions_say_what_resources_point_at_without_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STT_DATABASE_URL", "postgresql://stt:hunter2@db.internal:5433/meetings")
    monkeypatch.setenv("STT_SMTP_URL", "smtps://robot:hunter2@mail.example.com:465")
    monkeypatch.setenv("STT_MODEL", "large-v3")
    monkeypatch.setenv("STT_DIARIZER", "channel")
    monkeypatch.setenv("STT_SUMMARIZER", "extractive")
    monkeypatch.setenv("STT_ALLOWED_SOURCES", "s3://recordings/2026")
    monkeypatch.setenv("STT_S3_ENDPOINT_URL", "http://key:hunter2@minio:9000")
    shown = {name: resource.description or "" for name, resource in resources().items()}
    for name, target in {
        "database": "db.internal, port 5433, database meetings",
        "notifiers": "smtps://mail.example.com:465",
        "transcribers": "model large-v3",
        "diarizers": "channel",
        "summarizers": "extractive",
        "sources": "s3://recordings/2026",
    }.items():
        assert target in shown[name], name
    assert "http://minio:9000" in shown["sources"]
    assert "hunter2" not in str(shown)


@pytest.mark.parametrize("url", ["postgres://u:hunter2@h:port/x", "mysql://u:hunter2@h/x", "hunter2"])
def test_a_description_of_a_wrong_url_shows_none_of_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STT_DATABASE_URL", url)
    monkeypatch.setenv("STT_SMTP_URL", url)
    assert "hunter2" not in str([resource.description for resource in resources().values()])


def test_invalid_settings_leave_descriptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STT_MAX_ATTEMPTS", "many")
    assert all("the settings are invalid" in str(resource.description) for resource in resources().values())
