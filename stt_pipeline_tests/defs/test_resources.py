"""The resources give the backend that the options of a batch name, else the backend of the settings."""

import dagster as dg
import pytest

from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.defs.resources import DiarizerResource, NotifierResource, TranscriberResource
from stt_pipeline.mail.notifier import MailNotifier
from stt_pipeline.notify.recipients import Recipient
from stt_pipeline.speech.diarization import ChannelDiarizer, SingleSpeaker


def test_options_override_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STT_DIARIZER", "none")
    diarizer_for = DiarizerResource().create_resource(dg.build_init_resource_context())
    assert isinstance(diarizer_for(BatchOptions()), SingleSpeaker)
    assert isinstance(diarizer_for(BatchOptions(diarizer="channel")), ChannelDiarizer)
    assert diarizer_for(BatchOptions()) is diarizer_for(BatchOptions(diarizer="none"))


def test_batches_with_one_model_share_a_transcriber(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STT_MODEL", "small")
    transcriber_for = TranscriberResource().create_resource(dg.build_init_resource_context())
    key = transcriber_for.key(BatchOptions())
    assert key == transcriber_for.key(BatchOptions(model="small", language="ko"))
    assert key != transcriber_for.key(BatchOptions(model="demo"))


def test_a_recipient_gets_the_notifier_of_its_scheme() -> None:
    notifier_for = NotifierResource().create_resource(dg.build_init_resource_context())
    notifier = notifier_for(Recipient.parse("kim@example.com"))
    assert isinstance(notifier, MailNotifier) and notifier.name == "outbox"
