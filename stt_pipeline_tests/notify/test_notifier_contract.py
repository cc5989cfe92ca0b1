"""The contract of every notifier in ``NOTIFIERS``, and of the fake."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stt_pipeline.backends import NOTIFIERS
from stt_pipeline.errors import EmailError
from stt_pipeline.notify.events import Event
from stt_pipeline.notify.notifier import Notifier, RecordingNotifier, opened
from stt_pipeline.notify.recipients import Recipient
from stt_pipeline.settings import Settings
from stt_pipeline_tests.notify.events import BATCH_ENDED, MINUTES_READY


@pytest.fixture(params=[*NOTIFIERS, "recording"])
def scheme(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A scheme; the working directory and STT_HOME are empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STT_HOME", str(tmp_path / ".stt"))
    return str(request.param)


@pytest.fixture
def notifier(scheme: str) -> Notifier:
    if scheme == "recording":
        return RecordingNotifier()
    notifier: Notifier = NOTIFIERS.create(scheme, Settings())
    return notifier


@pytest.fixture
def recipient(scheme: str, notifier: Notifier) -> Recipient:
    return Recipient(scheme, notifier.normalize(notifier.example))


def test_an_address_in_normal_form_stays_as_it_is(
    scheme: str, notifier: Notifier, recipient: Recipient
) -> None:
    assert notifier.normalize(recipient.address) == recipient.address
    if scheme != "recording":
        assert Recipient.parse(str(recipient)) == recipient


def _is_delivered(notifier: Notifier, event: Event, recipient: Recipient) -> bool:
    """Return whether ``event`` was delivered; where the example's address does not exist, the error has to be ours."""
    try:
        note = notifier.deliver(event, recipient)
    except EmailError as error:
        assert str(error)
        return False
    assert note
    return True


@pytest.mark.parametrize("event", [MINUTES_READY, BATCH_ENDED], ids=lambda event: type(event).__name__)
def test_every_event_can_be_delivered_and_delivered_again(
    notifier: Notifier, recipient: Recipient, event: Event
) -> None:
    first = _is_delivered(notifier, event, recipient)
    assert _is_delivered(notifier, event, recipient) == first
    with opened(lambda recipient: notifier, [recipient]):
        assert _is_delivered(notifier, event, recipient) == first
    assert _is_delivered(notifier, event, recipient) == first


def test_the_name_is_one_line(notifier: Notifier) -> None:
    assert notifier.name.isprintable() and notifier.name


def test_the_fake_keeps_deliveries_and_raises_its_error() -> None:
    fake = RecordingNotifier()
    recipient = Recipient("recording", "list")
    fake.deliver(MINUTES_READY, recipient)
    fake.error = EmailError("the mail server does not answer")
    with pytest.raises(EmailError):
        fake.deliver(BATCH_ENDED, recipient)
    assert fake.deliveries == [(MINUTES_READY, recipient)]


def test_only_context_managers_are_entered_and_once_a_scheme() -> None:
    entered: list[str] = []

    class Connected(RecordingNotifier):
        def __enter__(self) -> "Connected":
            entered.append("enter")
            return self

        def __exit__(self, *error: object) -> None:
            entered.append("exit")

    notifiers: dict[str, Notifier] = {"a": Connected(), "b": RecordingNotifier()}
    recipients = [Recipient("a", "1"), Recipient("a", "2"), Recipient("b", "1")]
    notifier_for: Callable[[Recipient], Notifier] = lambda recipient: notifiers[recipient.scheme]  # noqa: E731
    with opened(notifier_for, recipients):
        assert entered == ["enter"]
    assert entered == ["enter", "exit"]
