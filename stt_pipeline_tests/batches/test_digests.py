"""Which mails a batch sends: one for each recording, one digest, or the report only; none for recordings without speech."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import docx
import pytest

from stt_pipeline.audio.sound import Sound, all_samples
from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.requests.retry import retry
from stt_pipeline.batches.stages.mail_content import MailContent
from stt_pipeline.batches.stages.publish import notify, write_minutes
from stt_pipeline.batches.stages.report import close_batch
from stt_pipeline.mail.messages import rendered
from stt_pipeline.minutes.model import ActionItem
from stt_pipeline.minutes.notes import KOREAN_NOTES
from stt_pipeline.minutes.summarizer import FixedSummarizer
from stt_pipeline.notify.events import BatchEnded, MinutesReady
from stt_pipeline.notify.notifier import RecordingNotifier
from stt_pipeline.speech.engine import DEMO_NOTE
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import (
    MAX_BYTES,
    CountingTranscriber,
    report,
    scanned,
    write_tone,
)
from stt_pipeline_tests.batches.stage_runs import claim_shards, publish, statuses_of, transcribe
from stt_pipeline_tests.rows import Rows

KIM = "kim@example.com"


class WithSilence(CountingTranscriber):
    """Finds no speech in recordings of half a second."""

    def hear(self, recording: Recording, sound: Sound) -> Transcript:
        seconds = len(all_samples(sound)) / 16_000
        if seconds < 0.7:
            return Transcript("", 0.0, seconds, self.model, ())
        return super().hear(recording, sound)


def _folder(folder: Path, count: int) -> Path:
    for number in range(count):
        write_tone(folder / f"{number:02}.wav", 1 + number / 100)
    return folder


def _events(notifier: RecordingNotifier) -> tuple[list[str], BatchEnded | None]:
    """Return the names of delivered minutes, and the report, and forget both."""
    events = [event for event, _ in notifier.deliveries]
    notifier.deliveries.clear()
    ended = [event for event in events if isinstance(event, BatchEnded)]
    return sorted(event.name for event in events if isinstance(event, MinutesReady)), ended[
        0
    ] if ended else None


@pytest.mark.parametrize(
    ("count", "mail", "minutes", "listed"),
    [
        (2, "auto", 2, None),
        (9, "auto", 9, None),
        (10, "auto", 0, 10),
        (2, "digest", 0, 2),
        (10, "each", 10, None),
        (2, "report", 0, None),
    ],
)
def test_the_mails_of_a_batch(
    database: Database, tmp_path: Path, count: int, mail: str, minutes: int, listed: int | None
) -> None:
    folder = _folder(tmp_path / "in", count)
    batch, _, keys = scanned(database, folder, notify_emails=[KIM], options={"mail": mail}, files_per_shard=5)
    notifier = RecordingNotifier()
    transcribe(database, keys, CountingTranscriber())
    publish(database, keys, notifier)
    assert set(statuses_of(database, batch.id).values()) == {"success"}
    for _ in range(2):
        report(database, batch.id, notifier)
    names, ended = _events(notifier)
    assert len(names) == minutes and ended
    assert (len(ended.digest.entries) if ended.digest else None) == listed


def test_a_digest_lists_a_bounded_number_and_counts_the_others(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stt_pipeline.batches.stages.report.DIGEST_ENTRIES", 3)
    batch, _, keys = scanned(database, _folder(tmp_path / "in", 12), notify_emails=[KIM], files_per_shard=20)
    notifier = RecordingNotifier()
    transcribe(database, keys, CountingTranscriber())
    publish(database, keys, notifier)
    report(database, batch.id, notifier)
    _, ended = _events(notifier)
    assert ended and ended.digest
    assert [entry.name for entry in ended.digest.entries] == ["00.wav", "01.wav", "02.wav"]
    assert ended.digest.others == 9


def test_a_digest_has_the_notes_of_each_recording_and_those_of_all_once(
    database: Database, tmp_path: Path
) -> None:
    batch, _, keys = scanned(database, _folder(tmp_path / "in", 10), notify_emails=[KIM], files_per_shard=20)
    notifier = RecordingNotifier()
    transcribe(database, keys, CountingTranscriber())
    publish(database, keys, notifier)
    rows, its = Rows(database), tables.transcriptions.c
    rows.change(
        tables.transcriptions, notes=[DEMO_NOTE], speech_seconds=9.0, untranscribed_speech_seconds=0.0
    )
    rows.change(
        tables.transcriptions,
        its.audio_file_path.like("%/02.wav"),
        untranscribed_speech_seconds=7.2,
        suspect_segments=2,
        notes=["The recording is damaged.", DEMO_NOTE],
    )
    report(database, batch.id, notifier)
    _, ended = _events(notifier)
    assert ended and ended.digest
    assert ended.digest.notes == (KOREAN_NOTES[DEMO_NOTE],)
    notes = {entry.name: entry.notes for entry in ended.digest.entries}
    assert notes.pop("02.wav") == (
        "The recording is damaged.",
        "말소리 7초에 글이 없습니다.",
        "2곳은 녹음에 없는 말일 수 있습니다.",
    )
    assert set(notes.values()) == {()}


def test_recordings_without_speech_are_only_in_the_report(database: Database, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in", 1)
    write_tone(folder / "silence.wav", 0.5)
    batch, _, keys = scanned(database, folder, notify_emails=[KIM], files_per_shard=5)
    notifier = RecordingNotifier()
    transcribe(database, keys, WithSilence())
    with claim_shards(database, keys, stage="publish") as work:
        write_minutes(work, lambda options: FixedSummarizer("Title"))
        notify(work, lambda recipient: notifier)
        assert work.shards[0].notes == ["silence.wav has no speech, so its minutes are not mailed."]
    assert set(statuses_of(database, batch.id).values()) == {"success"}
    report(database, batch.id, notifier)
    names, ended = _events(notifier)
    assert names == ["00.wav"]
    assert ended and (ended.without_speech, ended.names_without_speech) == (1, ("silence.wav",))


def test_a_digest_leaves_out_recordings_without_speech(database: Database, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in", 10)
    write_tone(folder / "00.wav", 0.5)
    batch, _, keys = scanned(database, folder, notify_emails=[KIM], files_per_shard=20)
    notifier = RecordingNotifier()
    transcribe(database, keys, WithSilence())
    publish(database, keys, notifier)
    report(database, batch.id, notifier)
    _, ended = _events(notifier)
    assert ended and ended.digest
    assert [entry.name for entry in ended.digest.entries] == [f"{n:02}.wav" for n in range(1, 10)]
    assert (ended.digest.others, ended.without_speech) == (0, 1)


def test_a_recording_that_is_retried_after_the_digest_is_mailed_by_itself(
    database: Database, tmp_path: Path
) -> None:
    folder = _folder(tmp_path / "in", 10)
    batch, _, keys = scanned(database, folder, notify_emails=[KIM])
    notifier = RecordingNotifier()
    transcribe(database, keys, CountingTranscriber(failures=[ValueError("no")]), max_attempts=1)
    publish(database, keys, notifier)
    report(database, batch.id, notifier)
    names, ended = _events(notifier)
    assert names == [] and ended and ended.digest and len(ended.digest.entries) == 9 and ended.failed == 1
    retry(database, batch.id, max_file_bytes=MAX_BYTES)
    transcribe(database, keys, CountingTranscriber())
    publish(database, keys, notifier)
    report(database, batch.id, notifier)
    names, ended = _events(notifier)
    assert len(names) == 1 and ended is None


def test_a_daily_batch_mails_its_first_recordings_and_then_a_digest(
    database: Database, tmp_path: Path
) -> None:
    folder = _folder(tmp_path / "in", 10)
    batch, _, keys = scanned(database, folder, notify_emails=[KIM])
    rows, notifier = Rows(database), RecordingNotifier()
    transcribe(database, keys, CountingTranscriber())
    rows.change(tables.batches, total_files=2)  # as when the watch had found only two files so far
    publish(database, keys[:2], notifier)
    rows.change(tables.batches, total_files=10)
    publish(database, keys[2:], notifier)
    report(database, batch.id, notifier)
    names, ended = _events(notifier)
    assert names == ["00.wav", "01.wav"]
    assert ended and ended.digest and (len(ended.digest.entries), ended.digest.repeated) == (8, 2)


def test_the_report_is_in_the_language_of_the_batch(database: Database, tmp_path: Path) -> None:
    for given, expected in (({}, "ko"), ({"language": "en"}, "en"), ({"output_language": "en"}, "en")):
        folder = _folder(tmp_path / str(given), 1)
        options = {"mail_again": True, **given}
        batch, _, keys = scanned(database, folder, notify_emails=[KIM], options=options)
        notifier = RecordingNotifier()
        transcribe(database, keys, CountingTranscriber())
        publish(database, keys, notifier)
        report(database, batch.id, notifier)
        _, ended = _events(notifier)
        assert ended and ended.language == expected


def test_minutes_are_attached_and_linked_with_the_day_in_the_time_zone(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, _, keys = scanned(database, _folder(tmp_path / "in", 1), notify_emails=[KIM, "lee@example.com"])
    notifier = RecordingNotifier()
    content = MailContent("docx", "https://stt.example.com", ZoneInfo("Asia/Seoul"))
    transcribe(database, keys, CountingTranscriber())
    with claim_shards(database, keys, stage="publish") as work:
        write_minutes(work, lambda options: FixedSummarizer("Title"))
        notify(work, lambda recipient: notifier, content)
    (first, _), (second, _) = notifier.deliveries
    assert isinstance(first, MinutesReady) and first == second
    assert first.link == "https://stt.example.com/api/v1/admin/transcriptions/1/export?format=docx"
    assert first.attachment and first.attachment.filename == "00.wav.docx"
    assert first.day in {datetime.now(ZoneInfo("Asia/Seoul")).date() - timedelta(days=n) for n in (0, 1)}
    (tmp_path / "a.docx").write_bytes(first.attachment.content)
    paragraphs = [one.text for one in docx.Document(str(tmp_path / "a.docx")).paragraphs]
    assert "Title" in paragraphs and any("알겠습니다" in line for line in paragraphs)
    with claimed_batch(database, batch.id, run_id="one", token=None, lease_seconds=60) as claim:
        close_batch(claim, lambda recipient: notifier, max_attempts=0, content=content)
    ended = notifier.deliveries[-1][0]
    assert isinstance(ended, BatchEnded)
    assert ended.link == f"https://stt.example.com/api/v1/admin/stt-batches/{batch.id}/export?format=docx"


class WithNote(CountingTranscriber):
    """Adds the note of the demo model."""

    def hear(self, recording: Recording, sound: Sound) -> Transcript:
        return replace(super().hear(recording, sound), notes=(DEMO_NOTE,))


@pytest.mark.parametrize(
    ("language", "when", "place", "attendees", "speaker", "note"),
    [
        ("", "일시: 2026년 3월 5일(목) 14:00", "장소", "참석자", "화자", KOREAN_NOTES[DEMO_NOTE]),
        ("en", "Date: 2026-03-05 14:00", "Place", "Attendees", "Speaker", DEMO_NOTE),
    ],
)
def test_mails_have_the_head_the_names_of_speakers_and_the_notes_of_documents(
    database: Database,
    tmp_path: Path,
    language: str,
    when: str,
    place: str,
    attendees: str,
    speaker: str,
    note: str,
) -> None:
    name = "20260305_140000 주간 회의.wav"
    write_tone(tmp_path / "in" / name, 5.0)
    options = {"place": "3층 회의실", "attendees": ["김 과장", "이 대리"], "output_language": language}
    batch, _, keys = scanned(database, tmp_path / "in", notify_emails=[KIM], options=options)
    notifier = RecordingNotifier()
    minutes = FixedSummarizer("Title", action_items=(ActionItem("제출", "SPEAKER_00"),))
    transcribe(database, keys, WithNote())
    with claim_shards(database, keys, stage="publish") as work:
        write_minutes(work, lambda options: minutes)
        notify(work, lambda recipient: notifier, MailContent("md"))
    report(database, batch.id, notifier)
    (event, _), (ended, _) = notifier.deliveries
    assert isinstance(event, MinutesReady) and isinstance(ended, BatchEnded)
    shown = [f"{label}: {value}" for label, value in event.facts]
    assert shown[:4] == [when, f"{place}: 3층 회의실", f"{attendees}: 김 과장, 이 대리", shown[3]]
    assert name in shown[3] and shown[-1].endswith(f"{speaker} 1")
    assert [item.owner for item in event.minutes.action_items] == [f"{speaker} 1"]
    assert event.notes == (note,)
    assert ended.facts == event.facts[1:3]
    assert event.attachment and "SPEAKER_" not in event.attachment.content.decode()
    mail = rendered(event, KIM)
    assert "SPEAKER_" not in mail.text + mail.html


def test_a_digest_has_the_time_of_each_meeting_in_the_language_of_the_batch(
    database: Database, tmp_path: Path
) -> None:
    write_tone(tmp_path / "in" / "20260305_140000 주간 회의.wav")
    write_tone(tmp_path / "in" / "인터뷰.wav", 2.0)
    batch, _, keys = scanned(database, tmp_path / "in", notify_emails=[KIM], options={"mail": "digest"})
    notifier = RecordingNotifier()
    transcribe(database, keys, CountingTranscriber())
    publish(database, keys, notifier)
    report(database, batch.id, notifier)
    _, ended = _events(notifier)
    assert ended and ended.digest
    assert {entry.name: entry.when for entry in ended.digest.entries} == {
        "20260305_140000 주간 회의.wav": "2026년 3월 5일(목) 14:00",
        "인터뷰.wav": "",
    }


def test_the_day_of_a_recording_is_that_in_its_name() -> None:
    content = MailContent(zone=ZoneInfo("Asia/Seoul"))
    added_at = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
    days = [content.day_of_recording(name, added_at) for name in ("회의 2026-03-05 14:00.m4a", "회의.m4a")]
    assert [str(day) for day in days] == ["2026-03-05", "2026-12-01"]


def test_a_file_that_is_too_large_is_not_attached(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stt_pipeline.batches.stages.publish.MAX_ATTACHMENT_BYTES", 10)
    _, _, keys = scanned(database, _folder(tmp_path / "in", 1), notify_emails=[KIM])
    notifier = RecordingNotifier()
    transcribe(database, keys, CountingTranscriber())
    with claim_shards(database, keys, stage="publish") as work:
        write_minutes(work, lambda options: FixedSummarizer("Title"))
        notify(work, lambda recipient: notifier, MailContent("md"))
    ((event, _),) = notifier.deliveries
    assert isinstance(event, MinutesReady)
    assert (event.attachment, event.is_too_large, event.link) == (None, True, "")
