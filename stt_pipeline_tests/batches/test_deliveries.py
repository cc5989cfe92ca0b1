"""Events reach the notifier of each recipient once, whatever is repeated."""

import uuid
from pathlib import Path

import pytest

from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.requests.backend_choice import FixedBackend
from stt_pipeline.batches.stages.publish import notify, write_minutes
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.errors import EmailError
from stt_pipeline.minutes.summarizer import FixedSummarizer
from stt_pipeline.notify.events import BatchEnded, MinutesReady
from stt_pipeline.notify.notifier import RecordingNotifier
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import (
    CountingTranscriber,
    OneSpeaker,
    report,
    scanned,
    write_tone,
)


def _work(database: Database, keys: list[str], stage: str) -> ShardClaims:
    claim = ClaimRequest(keys=keys, stage=stage, run_id=str(uuid.uuid4()))  # type: ignore[arg-type]
    return ShardClaims(database, claim, lease_seconds=60, max_attempts=3)


def test_each_recipient_gets_each_event_once(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    recipients = ["kim@example.com", "mailto:lee@example.com"]
    batch, _, keys = scanned(database, tmp_path / "in", notify_emails=recipients)
    with _work(database, keys, "transcribe") as work:
        probe_files(work)
        transcribe_files(work, FixedBackend(CountingTranscriber()))
        find_speakers(work, FixedBackend(OneSpeaker()))
    notifier = RecordingNotifier()
    notifier.error = EmailError("The server does not answer.")
    for _ in range(3):
        with _work(database, keys, "publish") as work:
            write_minutes(work, FixedBackend(FixedSummarizer("Title")))
            notify(work, lambda recipient: notifier)
        notifier.error = None
    minutes, again = (
        [event for event, recipient in notifier.deliveries if recipient.address == one]
        for one in ("kim@example.com", "lee@example.com")
    )
    assert minutes == again
    (event,) = minutes
    assert isinstance(event, MinutesReady)
    assert (event.name, event.minutes.title) == ("a.wav", "Title")
    assert ("화자", "화자 1") in event.facts

    notifier.deliveries.clear()
    for _ in range(2):
        sent = report(database, batch.id, notifier).emails_sent
    assert sent == 4
    (event, first), (same, second) = notifier.deliveries
    assert isinstance(event, BatchEnded) and event == same
    assert (event.status, event.total, event.completed) == ("completed", 1, 1)
    assert event.audio_hours == pytest.approx(1 / 3600, rel=0.01)
    assert {str(first), str(second)} == {"kim@example.com", "lee@example.com"}
