"""The mails of the publish stage and of the report: each is sent once."""

import email
from email.policy import default
from pathlib import Path

import pytest
from sqlalchemy import select

from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.queries.results import minutes_rows, transcript_rows
from stt_pipeline.batches.requests.retry import process_retries, request_retry
from stt_pipeline.batches.stages.publish import notify, write_minutes
from stt_pipeline.batches.stages.report import close_batch
from stt_pipeline.errors import ConfigurationError, EmailError
from stt_pipeline.mail.notifier import MailNotifier
from stt_pipeline.minutes.extractive import ExtractiveSummarizer
from stt_pipeline.notify.events import Event
from stt_pipeline.notify.notifier import Notifier
from stt_pipeline.notify.recipients import Recipient
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import CountingTranscriber, report, scanned, write_tone
from stt_pipeline_tests.batches.stage_runs import (
    claim_shards,
    publish,
    statuses_of,
    transcribe,
)
from stt_pipeline_tests.mail.smtp_servers import Inbox, smtp_server
from stt_pipeline_tests.rows import Rows


@pytest.fixture
def notifier(tmp_path: Path) -> Notifier:
    return MailNotifier("", tmp_path / "outbox", "stt@example.com")


def test_mails_have_the_minutes_and_go_to_each_recipient(
    database: Database, tmp_path: Path, notifier: Notifier
) -> None:
    write_tone(tmp_path / "in" / "주간 회의.wav")
    _, _, keys = scanned(database, tmp_path / "in", notify_emails=["kim@example.com", "lee@example.com"])
    transcribe(database, keys, CountingTranscriber())
    publish(database, keys, notifier)
    mails = [
        email.message_from_bytes(path.read_bytes(), policy=default)
        for path in (tmp_path / "outbox").glob("*.eml")
    ]
    assert {mail["To"] for mail in mails} == {"kim@example.com", "lee@example.com"}
    assert all("주간 회의" in mail["Subject"] for mail in mails)


class BrokenNotifier(MailNotifier):
    """Raises before a mail is sent: an unexpected error, or that of a mail server."""

    error: Exception | None = ValueError("unexpected")

    def deliver(self, event: Event, recipient: Recipient) -> str:
        if self.error:
            raise self.error
        return super().deliver(event, recipient)


def test_a_mail_that_failed_is_sent_by_the_next_try(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in", notify_emails=["kim@example.com"])
    transcribe(database, keys, CountingTranscriber())
    notifier = BrokenNotifier("", tmp_path / "outbox", "stt@example.com")
    publish(database, keys, notifier)
    assert statuses_of(database, batch.id) == {"a.wav": "transcribed internal"}
    notifier.error = None
    publish(database, keys, notifier)
    assert statuses_of(database, batch.id) == {"a.wav": "success"}
    assert len(list((tmp_path / "outbox").glob("*.eml"))) == 1


def test_minutes_that_a_server_refuses_fail_only_the_delivery(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    write_tone(tmp_path / "in" / "b.wav", 2.0)
    recipients = ["kim@example.com", "lee@example.com"]
    batch, _, keys = scanned(database, tmp_path / "in", notify_emails=recipients, files_per_shard=5)
    transcribe(database, keys, CountingTranscriber())
    inbox = Inbox(refuse="lee@example.com")
    with smtp_server(inbox) as host:
        notifier = MailNotifier(f"smtp://{host}", tmp_path, "stt@example.com")
        refused = publish(database, keys, notifier, max_attempts=1)
        assert {failure.error_class for failure in refused.shards[0].failures} == {"email"}
        assert all(failure.final for failure in refused.shards[0].failures)
        assert statuses_of(database, batch.id) == {"a.wav": "success email", "b.wav": "success email"}
        ended = report(database, batch.id, notifier)
        # counters, status, rows and Parquet agree: both files have all results
        figures = ended.progress
        assert (figures.status, figures.completed, figures.failed, figures.undelivered) == (
            "completed",
            2,
            0,
            2,
        )
        assert figures.audio_hours_done == pytest.approx(3 / 3600, rel=0.01)
        assert sum(files for _, files, _ in ended.throughput) == 2
        shard = refused.shards[0].shard.id
        assert len(transcript_rows(database, shard)) == len(minutes_rows(database, shard)) == 2
        # a run shows it again, and does nothing
        (shown,) = publish(database, keys, notifier, token=None, first_step=False).shards
        assert len(shown.failures) == 2

        inbox.refuse = ""
        inbox.messages.clear()
        assert request_retry(database, batch.id, error_class="email")[1] == 2
        assert process_retries(database, max_file_bytes=1 << 30, seconds=60) == 2
        publish(database, keys, notifier)
        assert statuses_of(database, batch.id) == {"a.wav": "success", "b.wav": "success"}
        assert [mail["To"] for mail in inbox.messages] == ["lee@example.com"] * 2
        figures = report(database, batch.id, notifier).progress
        assert (figures.completed, figures.failed, figures.undelivered) == (2, 0, 0)


def test_a_mail_of_a_killed_process_is_not_sent_again_and_is_shown(
    database: Database, tmp_path: Path, notifier: Notifier
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    _, _, keys = scanned(database, tmp_path / "in", notify_emails=["kim@example.com"])
    transcribe(database, keys, CountingTranscriber())
    with claim_shards(database, keys, stage="publish", last_step=False, run_id="one") as work:
        write_minutes(work, lambda options: ExtractiveSummarizer())
    minutes = select(tables.summaries.c.id.label("summary_id"))
    mail = {"batch_id": 1, "recipient_email": "kim@example.com", "status": "sending", "kind": "minutes"}
    Rows(database).insert_each(tables.email_logs, minutes, **mail)
    with claim_shards(database, keys, stage="publish", run_id="one") as work:
        notify(work, lambda recipient: notifier)
    assert not (tmp_path / "outbox").exists()
    (failure,) = work.shards[0].failures
    assert "kim@example.com" in failure.error


def test_a_report_that_cannot_be_mailed_is_tried_again_before_the_batch_is_closed(
    database: Database, tmp_path: Path, notifier: Notifier
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(
        database, tmp_path / "in", notify_emails=["kim@example.com"], options={"mail": "report"}
    )
    transcribe(database, keys, CountingTranscriber())
    publish(database, keys, notifier)
    broken = BrokenNotifier("", tmp_path / "outbox", "stt@example.com")
    broken.error = EmailError("the mail server is unavailable")
    with pytest.raises(EmailError, match="the mail server is unavailable"):
        report(database, batch.id, broken, max_attempts=3)
    figures = progress(database, batch.id)
    assert (figures.status, figures.error) == (
        "processing",
        "kim@example.com: the mail server is unavailable",
    )
    ended = report(database, batch.id, broken, max_attempts=0)
    assert (ended.progress.status, list(ended.mail_errors)) == ("completed", ["kim@example.com"])


def test_a_wrong_mail_setting_keeps_the_batch_open(
    database: Database, tmp_path: Path, notifier: Notifier
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(
        database, tmp_path / "in", notify_emails=["kim@example.com"], options={"mail": "report"}
    )
    transcribe(database, keys, CountingTranscriber())
    publish(database, keys, notifier)

    def misconfigured(recipient: Recipient) -> Notifier:
        raise ConfigurationError("STT_SMTP_URL has an invalid port.")

    with (
        pytest.raises(ConfigurationError, match="STT_SMTP_URL"),
        claimed_batch(database, batch.id, run_id="one", token=None, lease_seconds=60) as claim,
    ):
        close_batch(claim, misconfigured, max_attempts=0)
    figures = progress(database, batch.id)
    assert (figures.status, figures.error) == ("processing", "STT_SMTP_URL has an invalid port.")
    ended = report(database, batch.id, notifier)
    assert (ended.progress.status, ended.emails_sent) == ("completed", 1)


@pytest.mark.slow
def test_a_recipient_of_another_version_is_shown_and_fails_no_file(
    database: Database, tmp_path: Path, notifier: Notifier
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in", notify_emails=["kim@example.com"])
    transcribe(database, keys, CountingTranscriber())
    Rows(database).change(tables.batches, notify_emails=["pager:42"])
    with pytest.raises(ConfigurationError, match="'pager:42' cannot be notified"):
        publish(database, keys, notifier)
    assert "pager:42" in (progress(database, batch.id).error or "")
    assert statuses_of(database, batch.id) == {"a.wav": "transcribed"}
    Rows(database).change(tables.batches, notify_emails=["kim@example.com"])
    publish(database, keys, notifier)
    Rows(database).change(tables.batches, notify_emails=["pager:42"])
    ended = report(database, batch.id, notifier)
    assert (ended.progress.status, list(ended.mail_errors)) == ("completed", ["pager:42"])


@pytest.mark.slow
def test_files_that_are_reopened_during_the_report_keep_the_batch_open(
    database: Database, tmp_path: Path
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    (tmp_path / "in" / "bad.wav").touch()
    batch, _, keys = scanned(database, tmp_path / "in", notify_emails=["kim@example.com"])
    transcribe(database, keys, CountingTranscriber())

    class Meanwhile(MailNotifier):
        def deliver(self, event: Event, recipient: Recipient) -> str:
            with claim_shards(database, keys, run_id="of a user", last_step=False):
                return super().deliver(event, recipient)

    publish(database, keys, MailNotifier("", tmp_path / "outbox", "stt@example.com"))
    report(database, batch.id, Meanwhile("", tmp_path / "outbox", "stt@example.com"))
    assert progress(database, batch.id).status == "processing"
    transcribe(database, keys, CountingTranscriber(), run_id="of a user")
    assert statuses_of(database, batch.id) == {"a.wav": "success", "bad.wav": "failed unreadable"}
