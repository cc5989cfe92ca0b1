"""The two stages on real files: files fail alone, leases keep others out, and nothing is done or sent twice."""

import email
import uuid
from dataclasses import replace
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from stt_pipeline.audio.sound import Sound
from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.queries.results import minutes_rows, transcript_rows
from stt_pipeline.batches.stages.publish import notify, write_minutes
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.errors import (
    ConfigurationError,
    EmailError,
    InvalidRequestError,
    ModelError,
    OutOfMemoryError,
)
from stt_pipeline.mail.mail import Mail
from stt_pipeline.mail.mailer import Mailer, load_mailer
from stt_pipeline.mail.outbox import OutboxMailer
from stt_pipeline.minutes.extractive import ExtractiveSummarizer
from stt_pipeline.speech.diarization import ANY_NUMBER, SpeakerCount
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.transcriber import Transcriber
from stt_pipeline.speech.transcript import SpeakerTurn, Transcript
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.queue import shards
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker, report, scanned, write_tone


def _work(database: Database, keys: list[str], *, max_attempts: int = 2, **how: object) -> ShardClaims:
    claim = ClaimRequest(keys=keys, **{"stage": "transcribe", "run_id": str(uuid.uuid4()), **how})  # type: ignore[arg-type]
    return ShardClaims(database, claim, lease_seconds=60, max_attempts=max_attempts)


def _transcribe(database: Database, keys: list[str], transcriber: Transcriber, **how: Any) -> ShardClaims:
    with _work(database, keys, **how) as work:
        probe_files(work)
        transcribe_files(work, lambda options: transcriber)
        find_speakers(work, lambda options: OneSpeaker())
    return work


def _publish(database: Database, keys: list[str], mailer: Mailer, **how: object) -> ShardClaims:
    with _work(database, keys, stage="publish", **how) as work:
        write_minutes(work, lambda options: ExtractiveSummarizer())
        notify(work, mailer)
    return work


def _statuses(database: Database, batch_id: int) -> dict[str, str]:
    with database.begin() as connection:
        return {
            Path(file.uri).name: f"{file.status} {file.error_class or ''}".strip()
            for file in files.of_batch(connection, batch_id)
        }


def _dispatched(database: Database) -> str:
    """Return a token that the shards wait for, as if the dispatcher had ordered them."""
    token = str(uuid.uuid4())
    with database.begin() as connection:
        connection.execute(text("UPDATE stt_shards SET token = :token"), {"token": token})
    return token


def _counts(database: Database) -> tuple[int, int, int]:
    with database.begin() as connection:
        return tuple(  # type: ignore[return-value]
            connection.scalar(text(f"SELECT count(*) FROM {table}"))
            for table in ("stt_transcriptions", "stt_summaries", "stt_email_logs")
        )


@pytest.fixture
def mailer(tmp_path: Path) -> Mailer:
    return load_mailer("", tmp_path / "outbox", "stt@example.com")


def test_a_batch_from_files_to_report_and_once_more(
    database: Database, tmp_path: Path, mailer: Mailer
) -> None:
    folder = tmp_path / "in"
    write_tone(folder / "a.wav", 2.0)
    write_tone(folder / "b.wav", 3.0)
    (folder / "bad.mp3").write_text("this is text")
    batch, _, keys = scanned(database, folder, notify_emails=["kim@example.com"])
    transcriber = CountingTranscriber()
    first = _transcribe(database, keys, transcriber)
    assert _statuses(database, batch.id) == {
        "a.wav": "transcribed",
        "b.wav": "transcribed",
        "bad.mp3": "failed unreadable",
    }
    assert [(len(shard.failures), shard.done) for shard in first.shards] == [(0, 3), (0, 3), (1, 0)]
    _publish(database, keys, mailer)
    figures = report(database, batch.id, mailer).progress
    assert (figures.status, figures.completed, figures.failed) == ("completed", 2, 1)
    assert figures.failures_by_class == {"unreadable": 1}
    assert figures.audio_hours_done == pytest.approx(5 / 3600, rel=0.01)

    def results() -> list[object]:
        with database.begin() as connection:
            shards = [file.shard_id for file in files.of_batch(connection, batch.id)]
        return [(transcript_rows(database, s or 0), minutes_rows(database, s or 0)) for s in shards]

    rows, counts = results(), _counts(database)
    mails = sorted(path.name for path in (tmp_path / "outbox").iterdir())
    assert counts == (2, 2, 3)
    assert len(mails) == 3

    # the same shards again, in runs that a person started: the bad file is tried again, nothing else is done anew
    _transcribe(database, keys, transcriber)
    _publish(database, keys, mailer)
    report(database, batch.id, mailer)
    assert transcriber.calls == 2
    assert results() == rows
    assert _counts(database) == counts
    assert sorted(path.name for path in (tmp_path / "outbox").iterdir()) == mails
    assert progress(database, batch.id).status == "completed"


def test_reprocess_makes_transcripts_again_and_sends_nothing_again(
    database: Database, tmp_path: Path, mailer: Mailer
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in", notify_emails=["kim@example.com"])
    transcriber = CountingTranscriber()
    _transcribe(database, keys, transcriber)
    _publish(database, keys, mailer)
    counts = _counts(database)
    _transcribe(database, keys, transcriber, reprocess=True)
    assert transcriber.calls == 2
    assert _statuses(database, batch.id) == {"a.wav": "transcribed"}
    _publish(database, keys, mailer)
    assert _statuses(database, batch.id) == {"a.wav": "success"}
    assert _counts(database) == counts
    assert len(list((tmp_path / "outbox").iterdir())) == 1


def test_mails_hold_the_minutes_and_go_to_each_person(
    database: Database, tmp_path: Path, mailer: Mailer
) -> None:
    write_tone(tmp_path / "in" / "주간 회의.wav")
    _, _, keys = scanned(database, tmp_path / "in", notify_emails=["kim@example.com", "lee@example.com"])
    _transcribe(database, keys, CountingTranscriber())
    _publish(database, keys, mailer)
    mails = [
        email.message_from_bytes(path.read_bytes(), policy=default)
        for path in (tmp_path / "outbox").glob("*.eml")
    ]
    assert {mail["To"] for mail in mails} == {"kim@example.com", "lee@example.com"}
    assert all("주간 회의" in mail["Subject"] for mail in mails)


def test_a_passing_failure_is_tried_again_and_counted(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    transcriber = CountingTranscriber([OutOfMemoryError("no memory left"), ValueError("odd")])
    first = _transcribe(database, keys, transcriber)
    assert _statuses(database, batch.id) == {"a.wav": "pending out_of_memory"}
    assert not first.shards[0].failures[0].final
    with database.begin() as connection:
        stage, waits = connection.execute(text("SELECT stage, not_before > now() FROM stt_shards")).one()
    assert (stage, waits) == ("transcribe", True)
    second = _transcribe(database, keys, transcriber, token=_dispatched(database))
    assert second.shards[0].failures[0].final
    assert _statuses(database, batch.id) == {"a.wav": "failed internal"}
    (failure,) = second.shards[0].failures
    assert failure.error == "ValueError: odd"


class _Small(CountingTranscriber):
    """A device with memory for a quarter of what is decoded side by side at first."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def hear(self, recording: Recording, sound: Sound) -> Transcript:
        self.asked.append(recording.halvings)
        if recording.halvings < 2:
            raise OutOfMemoryError("no memory left")
        return super().hear(recording, sound)


def test_a_file_that_ran_out_of_memory_is_tried_again_with_less_side_by_side(
    database: Database, tmp_path: Path
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    transcriber = _Small()
    for _ in range(3):
        assert _statuses(database, batch.id)["a.wav"].startswith("pending")
        _transcribe(database, keys, transcriber, token=_dispatched(database), max_attempts=3)
    assert transcriber.asked == [0, 1, 2]
    assert _statuses(database, batch.id) == {"a.wav": "transcribed"}


def test_only_a_lack_of_memory_asks_for_less(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    _, _, keys = scanned(database, tmp_path / "in")
    for _ in range(2):
        broken = CountingTranscriber([ModelError("odd")])
        _transcribe(database, keys, broken, token=_dispatched(database), max_attempts=9)
    transcriber = _Small()
    _transcribe(database, keys, transcriber, token=_dispatched(database), max_attempts=9)
    assert transcriber.asked == [0]


class _Nul(CountingTranscriber):
    """Says, of the second recording, what Postgres cannot store."""

    def hear(self, recording: Recording, sound: Sound) -> Transcript:
        transcript = super().hear(recording, sound)
        return replace(transcript, model="\0") if self.calls == 2 else transcript


def test_a_result_that_cannot_be_written_fails_alone(database: Database, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        write_tone(tmp_path / "in" / name)
    batch, _, keys = scanned(database, tmp_path / "in", files_per_shard=3)
    work = _transcribe(database, keys, _Nul(), token=_dispatched(database))
    assert _statuses(database, batch.id) == {
        "a.wav": "transcribed",
        "b.wav": "pending internal",
        "c.wav": "transcribed",
    }
    (shard,) = work.shards
    # what the later step says of b: it has no transcript
    assert [failure.name for failure in shard.failures] == ["b.wav", "b.wav"]
    assert shard.done == 3 + 2 + 2


def test_a_wrong_setting_blames_no_file_and_is_shown_on_the_batch(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    with pytest.raises(ConfigurationError):
        _transcribe(database, keys, CountingTranscriber([ConfigurationError("no such model")]))
    assert _statuses(database, batch.id) == {"a.wav": "pending"}
    assert progress(database, batch.id).error == "no such model"
    _transcribe(database, keys, CountingTranscriber())
    assert progress(database, batch.id).error is None


def test_figures_are_of_the_segments_that_are_stored_with_their_speakers(
    database: Database, tmp_path: Path
) -> None:
    write_tone(tmp_path / "in" / "a.wav", 2.0)
    _, _, keys = scanned(database, tmp_path / "in")

    class _Doubtful(CountingTranscriber):
        def hear(self, recording: Recording, sound: Sound) -> Transcript:
            heard = super().hear(recording, sound)
            return heard.with_segments(
                [replace(one, hallucination_reasons=("speed",)) for one in heard.segments]
            )

    class _TwoSpeakers(OneSpeaker):
        def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
            return (SpeakerTurn(0.0, 1.0, "SPEAKER_00"), SpeakerTurn(1.0, 2.0, "SPEAKER_01"))

    with _work(database, keys) as work:
        probe_files(work)
        transcribe_files(work, lambda options: _Doubtful())
        find_speakers(work, lambda options: _TwoSpeakers())
    with database.begin() as connection:
        stored = connection.execute(
            text("SELECT suspect_segments, jsonb_array_length(segments), quality FROM stt_transcriptions")
        ).one()
    assert tuple(stored) == (2, 2, 0.9)


def test_a_live_lease_keeps_other_runs_out_and_they_say_whose_it_is(
    database: Database, tmp_path: Path
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    _, _, keys = scanned(database, tmp_path / "in")
    with (
        _work(database, keys, run_id="first", last_step=False) as first,
        _work(database, keys, run_id="second") as second,
    ):
        assert [shard.key for shard in first.shards] == keys
        assert (second.shards, second.refused) == ([], {keys[0]: "being worked by run first"})
    # between the steps of a run the lease goes on; after its last step it ends
    with _work(database, keys, run_id="second") as second:
        assert second.refused
    with _work(database, keys, run_id="first", last_step=True):
        pass
    with _work(database, keys, run_id="second") as second:
        assert not second.refused


def test_a_run_that_lost_its_lease_writes_nothing(database: Database, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        write_tone(tmp_path / "in" / name)
    batch, _, keys = scanned(database, tmp_path / "in")
    with _work(database, keys) as zombie:
        probe_files(zombie)
        with database.begin() as connection:
            connection.execute(
                text("UPDATE stt_shards SET run_id = 'other', token = gen_random_uuid() WHERE key = :key"),
                {"key": keys[0]},
            )
        transcribe_files(zombie, lambda options: CountingTranscriber())
        find_speakers(zombie, lambda options: OneSpeaker())
    assert list(zombie.refused) == [keys[0]]
    assert _statuses(database, batch.id) == {"a.wav": "pending", "b.wav": "transcribed"}
    with database.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM stt_transcriptions")) == 1
        assert (
            connection.scalar(text("SELECT run_id FROM stt_shards WHERE key = :key"), {"key": keys[0]})
            == "other"
        )


def test_minutes_without_a_transcript_say_so_and_others_go_on(
    database: Database, tmp_path: Path, mailer: Mailer
) -> None:
    for name in ("a.wav", "b.wav"):
        write_tone(tmp_path / "in" / name)
    batch, _, keys = scanned(database, tmp_path / "in")
    _transcribe(database, keys[:1], CountingTranscriber())
    work = _publish(database, keys, mailer)
    assert _statuses(database, batch.id) == {"a.wav": "success", "b.wav": "pending"}
    assert "transcribe first" in work.shards[1].failures[0].error


def test_a_person_may_take_a_finished_batch_back_into_work(
    database: Database, tmp_path: Path, mailer: Mailer
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    with database.begin() as connection:
        connection.execute(text("UPDATE stt_audio_files SET status = 'failed', error_class = 'internal'"))
        connection.execute(text("UPDATE stt_shards SET stage = 'done', failed = 1"))
    report(database, batch.id, mailer)
    assert progress(database, batch.id).status == "failed"
    with _work(database, keys, run_id="person", last_step=False):
        # while the run works, nobody may think that the batch is over
        assert progress(database, batch.id).status == "processing"
        with database.begin() as connection:
            assert shards.batches_without_open_shards(connection) == []
    _transcribe(database, keys, CountingTranscriber(), run_id="person")
    assert _statuses(database, batch.id) == {"a.wav": "transcribed"}


def test_a_cancelled_batch_takes_no_work(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    with database.begin() as connection:
        connection.execute(text("UPDATE stt_batches SET status = 'cancelled'"))
    with _work(database, keys) as work:
        assert work.refused == {keys[0]: f"batch {batch.id} is cancelled"}
    with (
        pytest.raises(InvalidRequestError, match="is cancelled"),
        claimed_batch(database, batch.id, run_id="r", token=None, lease_seconds=60),
    ):
        pass


def test_a_batch_of_only_bad_files_ends_as_failed(database: Database, tmp_path: Path, mailer: Mailer) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp3").touch()
    batch, _, keys = scanned(database, tmp_path / "in")
    _transcribe(database, keys, CountingTranscriber())
    _publish(database, keys, mailer)
    with database.begin() as connection:
        assert connection.scalar(text("SELECT stage FROM stt_shards")) == "done"
    report(database, batch.id, mailer)
    assert progress(database, batch.id).status == "failed"


def test_a_step_that_fails_after_its_files_is_done_again(database: Database, tmp_path: Path) -> None:
    """Its Parquet file may be missing, though every file is through."""
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    with pytest.raises(OSError, match="disk full"), _work(database, keys) as work:
        probe_files(work)
        transcribe_files(work, lambda options: CountingTranscriber())
        find_speakers(work, lambda options: OneSpeaker())
        raise OSError("disk full")
    with database.begin() as connection:
        assert connection.scalar(text("SELECT stage FROM stt_shards")) == "transcribe"
    assert "ended early" in (progress(database, batch.id).error or "")
    with _work(database, keys) as work:
        find_speakers(work, lambda options: OneSpeaker())
    with database.begin() as connection:
        assert connection.scalar(text("SELECT stage FROM stt_shards")) == "publish"
    assert progress(database, batch.id).error is None


def test_a_failed_file_is_shown_by_the_step_where_it_failed_in_every_later_run(
    database: Database, tmp_path: Path
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    _, _, keys = scanned(database, tmp_path / "in")
    for _ in range(2):
        _transcribe(database, keys, CountingTranscriber([ValueError("odd")]), token=_dispatched(database))
    seen = []
    with _work(database, keys, token=_dispatched(database)) as work:
        for step in (
            probe_files,
            lambda work: transcribe_files(work, lambda options: CountingTranscriber()),
            lambda work: find_speakers(work, lambda options: OneSpeaker()),
        ):
            work.shards[0].failures.clear()
            step(work)
            seen.append([failure.error for failure in work.shards[0].failures])
    assert seen == [[], ["ValueError: odd"], []]


def test_a_step_out_of_order_says_what_comes_first(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    _, _, keys = scanned(database, tmp_path / "in")
    with _work(database, keys) as work:
        transcribe_files(work, lambda options: CountingTranscriber())
    assert "materialize audio_files first" in work.shards[0].failures[0].error
    with (
        pytest.raises(InvalidRequestError, match="transcribe first"),
        _work(database, keys, stage="publish") as work,
    ):
        write_minutes(work, lambda options: ExtractiveSummarizer())


class _BrokenMailer(OutboxMailer):
    """Fails in a way that nobody foresaw, or in the way that mail servers do, before anything left."""

    error: Exception | None = ValueError("not foreseen")

    def send(self, mail: Mail) -> str:
        if self.error:
            raise self.error
        return super().send(mail)


def test_a_mail_that_did_not_leave_is_sent_by_the_next_try(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in", notify_emails=["kim@example.com"])
    _transcribe(database, keys, CountingTranscriber())
    mailer = _BrokenMailer(tmp_path / "outbox", "stt@example.com")
    _publish(database, keys, mailer)
    assert _statuses(database, batch.id) == {"a.wav": "transcribed internal"}
    mailer.error = None
    _publish(database, keys, mailer)
    assert _statuses(database, batch.id) == {"a.wav": "success"}
    assert len(list((tmp_path / "outbox").glob("*.eml"))) == 1


def test_a_mail_of_a_killed_process_is_not_sent_again_and_is_shown(
    database: Database, tmp_path: Path, mailer: Mailer
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    _, _, keys = scanned(database, tmp_path / "in", notify_emails=["kim@example.com"])
    _transcribe(database, keys, CountingTranscriber())
    with _work(database, keys, stage="publish", last_step=False, run_id="one") as work:
        write_minutes(work, lambda options: ExtractiveSummarizer())
    with database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO stt_email_logs (batch_id, summary_id, recipient_email, status)"
                " SELECT 1, id, 'kim@example.com', 'sending' FROM stt_summaries"
            )
        )
    with _work(database, keys, stage="publish", run_id="one") as work:
        notify(work, mailer)
    assert not (tmp_path / "outbox").exists()
    (failure,) = work.shards[0].failures
    assert "kim@example.com" in failure.error


def test_a_report_that_reaches_nobody_is_tried_again_before_the_batch_is_closed(
    database: Database, tmp_path: Path, mailer: Mailer
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(
        database, tmp_path / "in", notify_emails=["kim@example.com"], options={"mail_minutes": False}
    )
    _transcribe(database, keys, CountingTranscriber())
    _publish(database, keys, mailer)
    broken = _BrokenMailer(tmp_path / "outbox", "stt@example.com")
    broken.error = EmailError("the mail server is away")
    with pytest.raises(EmailError, match="the mail server is away"):
        report(database, batch.id, broken, max_attempts=3)
    figures = progress(database, batch.id)
    assert (figures.status, figures.error) == ("processing", "kim@example.com: the mail server is away")
    ended = report(database, batch.id, broken, max_attempts=0)
    assert (ended.progress.status, list(ended.mail_errors)) == ("completed", ["kim@example.com"])


def test_files_that_get_a_new_start_during_the_report_keep_the_batch_open(
    database: Database, tmp_path: Path
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    (tmp_path / "in" / "bad.wav").touch()
    batch, _, keys = scanned(database, tmp_path / "in", notify_emails=["kim@example.com"])
    _transcribe(database, keys, CountingTranscriber())

    class Meanwhile(OutboxMailer):
        def send(self, mail: Mail) -> str:
            with _work(database, keys, run_id="person", last_step=False):
                return super().send(mail)

    _publish(database, keys, load_mailer("", tmp_path / "outbox", "stt@example.com"))
    report(database, batch.id, Meanwhile(tmp_path / "outbox", "stt@example.com"))
    assert progress(database, batch.id).status == "processing"
    _transcribe(database, keys, CountingTranscriber(), run_id="person")
    assert _statuses(database, batch.id) == {"a.wav": "success", "bad.wav": "failed unreadable"}


def test_a_source_that_is_away_blames_no_file(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    (tmp_path / "in").rename(tmp_path / "away")
    with pytest.raises(ConfigurationError, match="source cannot be used"):
        _transcribe(database, keys, CountingTranscriber())
    assert _statuses(database, batch.id) == {"a.wav": "pending"}
    assert "source cannot be used" in (progress(database, batch.id).error or "")
