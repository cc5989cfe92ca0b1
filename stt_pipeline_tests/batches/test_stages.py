"""The two stages on real files: a file fails alone, and repeated runs repeat no work."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from stt_pipeline.audio.sound import Sound
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.queries.results import minutes_rows, transcript_rows
from stt_pipeline.batches.stages.publish import write_minutes
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.errors import (
    ConfigurationError,
    InvalidRequestError,
    ModelError,
    OutOfMemoryError,
)
from stt_pipeline.mail.notifier import MailNotifier
from stt_pipeline.minutes.extractive import ExtractiveSummarizer
from stt_pipeline.notify.notifier import Notifier
from stt_pipeline.speech.diarization import ANY_NUMBER, SpeakerCount
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.transcript import SpeakerTurn, Transcript
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker, report, scanned, write_tone
from stt_pipeline_tests.batches.stage_runs import (
    claim_shards,
    count_results,
    dispatched,
    publish,
    statuses_of,
    transcribe,
)


@pytest.fixture
def notifier(tmp_path: Path) -> Notifier:
    return MailNotifier("", tmp_path / "outbox", "stt@example.com")


@pytest.mark.slow
def test_a_batch_from_files_to_report_and_once_more(
    database: Database, tmp_path: Path, notifier: Notifier
) -> None:
    folder = tmp_path / "in"
    write_tone(folder / "a.wav", 2.0)
    write_tone(folder / "b.wav", 3.0)
    (folder / "bad.mp3").write_text("this is text")
    batch, _, keys = scanned(database, folder, notify_emails=["kim@example.com"])
    transcriber = CountingTranscriber()
    first = transcribe(database, keys, transcriber)
    assert statuses_of(database, batch.id) == {
        "a.wav": "transcribed",
        "b.wav": "transcribed",
        "bad.mp3": "failed unreadable",
    }
    assert [(len(shard.failures), shard.done) for shard in first.shards] == [(0, 3), (0, 3), (1, 0)]
    publish(database, keys, notifier)
    figures = report(database, batch.id, notifier).progress
    assert (figures.status, figures.completed, figures.failed) == ("completed", 2, 1)
    assert figures.failures_by_class == {"unreadable": 1}
    assert figures.audio_hours_done == pytest.approx(5 / 3600, rel=0.01)

    def results() -> list[object]:
        with database.begin() as connection:
            shards = [file.shard_id for file in files.of_batch(connection, batch.id)]
        return [(transcript_rows(database, s or 0), minutes_rows(database, s or 0)) for s in shards]

    rows, counts = results(), count_results(database)
    mails = sorted(path.name for path in (tmp_path / "outbox").iterdir())
    assert counts == (2, 2, 3)
    assert len(mails) == 3

    # the same shards again, in runs that a user started: only the bad file is tried again
    transcribe(database, keys, transcriber)
    publish(database, keys, notifier)
    report(database, batch.id, notifier)
    assert transcriber.calls == 2
    assert results() == rows
    assert count_results(database) == counts
    assert sorted(path.name for path in (tmp_path / "outbox").iterdir()) == mails
    assert progress(database, batch.id).status == "completed"


@pytest.mark.slow
def test_reprocess_repeats_transcripts_and_sends_no_second_mail(
    database: Database, tmp_path: Path, notifier: Notifier
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in", notify_emails=["kim@example.com"])
    transcriber = CountingTranscriber()
    transcribe(database, keys, transcriber)
    publish(database, keys, notifier)
    counts = count_results(database)
    transcribe(database, keys, transcriber, reprocess=True)
    assert transcriber.calls == 2
    assert statuses_of(database, batch.id) == {"a.wav": "transcribed"}
    publish(database, keys, notifier)
    assert statuses_of(database, batch.id) == {"a.wav": "success"}
    assert count_results(database) == counts
    assert len(list((tmp_path / "outbox").iterdir())) == 1


def test_a_transient_failure_is_tried_again_and_counted(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    transcriber = CountingTranscriber([OutOfMemoryError("no memory left"), ValueError("odd")])
    first = transcribe(database, keys, transcriber)
    assert statuses_of(database, batch.id) == {"a.wav": "pending out_of_memory"}
    assert not first.shards[0].failures[0].final
    with database.begin() as connection:
        stage, waits = connection.execute(text("SELECT stage, not_before > now() FROM stt_shards")).one()
    assert (stage, waits) == ("transcribe", True)
    second = transcribe(database, keys, transcriber, token=dispatched(database))
    assert second.shards[0].failures[0].final
    assert statuses_of(database, batch.id) == {"a.wav": "failed internal"}
    (failure,) = second.shards[0].failures
    assert failure.error == "ValueError: odd"


class _Small(CountingTranscriber):
    """A device with memory for a quarter of the default batch."""

    def __init__(self) -> None:
        super().__init__()
        self.requested: list[int] = []

    def hear(self, recording: Recording, sound: Sound) -> Transcript:
        self.requested.append(recording.halvings)
        if recording.halvings < 2:
            raise OutOfMemoryError("no memory left")
        return super().hear(recording, sound)


def test_a_file_that_ran_out_of_memory_is_tried_again_with_a_smaller_batch(
    database: Database, tmp_path: Path
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    transcriber = _Small()
    for _ in range(3):
        assert statuses_of(database, batch.id)["a.wav"].startswith("pending")
        transcribe(database, keys, transcriber, token=dispatched(database), max_attempts=3)
    assert transcriber.requested == [0, 1, 2]
    assert statuses_of(database, batch.id) == {"a.wav": "transcribed"}


def test_only_a_lack_of_memory_reduces_the_batch(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    _, _, keys = scanned(database, tmp_path / "in")
    for _ in range(2):
        broken = CountingTranscriber([ModelError("odd")])
        transcribe(database, keys, broken, token=dispatched(database), max_attempts=9)
    transcriber = _Small()
    transcribe(database, keys, transcriber, token=dispatched(database), max_attempts=9)
    assert transcriber.requested == [0]


class _Nul(CountingTranscriber):
    """Returns a transcript for the second recording that Postgres cannot store."""

    def hear(self, recording: Recording, sound: Sound) -> Transcript:
        transcript = super().hear(recording, sound)
        return replace(transcript, model="\0") if self.calls == 2 else transcript


def test_a_result_that_cannot_be_written_fails_alone(database: Database, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        write_tone(tmp_path / "in" / name)
    batch, _, keys = scanned(database, tmp_path / "in", files_per_shard=3)
    work = transcribe(database, keys, _Nul(), token=dispatched(database))
    assert statuses_of(database, batch.id) == {
        "a.wav": "transcribed",
        "b.wav": "pending internal",
        "c.wav": "transcribed",
    }
    (shard,) = work.shards
    # the later step reports that b has no transcript
    assert [failure.name for failure in shard.failures] == ["b.wav", "b.wav"]
    assert shard.done == 3 + 2 + 2


def test_a_wrong_setting_fails_no_file_and_is_shown_on_the_batch(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    with pytest.raises(ConfigurationError):
        transcribe(database, keys, CountingTranscriber([ConfigurationError("no such model")]))
    assert statuses_of(database, batch.id) == {"a.wav": "pending"}
    assert progress(database, batch.id).error == "no such model"
    transcribe(database, keys, CountingTranscriber())
    assert progress(database, batch.id).error is None


def test_figures_are_of_the_segments_that_are_stored_with_their_speakers(
    database: Database, tmp_path: Path
) -> None:
    write_tone(tmp_path / "in" / "a.wav", 2.0)
    _, _, keys = scanned(database, tmp_path / "in")

    class _Doubtful(CountingTranscriber):
        def hear(self, recording: Recording, sound: Sound) -> Transcript:
            transcript = super().hear(recording, sound)
            return transcript.with_segments(
                [replace(one, hallucination_reasons=("speed",)) for one in transcript.segments]
            )

    class _TwoSpeakers(OneSpeaker):
        def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
            return (SpeakerTurn(0.0, 1.0, "SPEAKER_00"), SpeakerTurn(1.0, 2.0, "SPEAKER_01"))

    with claim_shards(database, keys) as work:
        probe_files(work)
        transcribe_files(work, lambda options: _Doubtful())
        find_speakers(work, lambda options: _TwoSpeakers())
    with database.begin() as connection:
        stored = connection.execute(
            text("SELECT suspect_segments, jsonb_array_length(segments), quality FROM stt_transcriptions")
        ).one()
    assert tuple(stored) == (2, 2, 0.9)


def test_a_file_without_a_transcript_gets_no_minutes_and_others_do(
    database: Database, tmp_path: Path, notifier: Notifier
) -> None:
    for name in ("a.wav", "b.wav"):
        write_tone(tmp_path / "in" / name)
    batch, _, keys = scanned(database, tmp_path / "in")
    transcribe(database, keys[:1], CountingTranscriber())
    work = publish(database, keys, notifier)
    assert statuses_of(database, batch.id) == {"a.wav": "success", "b.wav": "pending"}
    assert "transcribe first" in work.shards[1].failures[0].error


def test_a_batch_of_only_bad_files_ends_as_failed(
    database: Database, tmp_path: Path, notifier: Notifier
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp3").touch()
    batch, _, keys = scanned(database, tmp_path / "in")
    transcribe(database, keys, CountingTranscriber())
    publish(database, keys, notifier)
    with database.begin() as connection:
        assert connection.scalar(text("SELECT stage FROM stt_shards")) == "done"
    report(database, batch.id, notifier)
    assert progress(database, batch.id).status == "failed"


def test_a_failed_file_is_shown_by_the_step_where_it_failed_in_every_later_run(
    database: Database, tmp_path: Path
) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    _, _, keys = scanned(database, tmp_path / "in")
    for _ in range(2):
        transcribe(database, keys, CountingTranscriber([ValueError("odd")]), token=dispatched(database))
    seen = []
    with claim_shards(database, keys, token=dispatched(database)) as work:
        for step in (
            probe_files,
            lambda work: transcribe_files(work, lambda options: CountingTranscriber()),
            lambda work: find_speakers(work, lambda options: OneSpeaker()),
        ):
            work.shards[0].failures.clear()
            step(work)
            seen.append([failure.error for failure in work.shards[0].failures])
    assert seen == [[], ["ValueError: odd"], []]


def test_a_step_out_of_order_names_the_missing_step(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    _, _, keys = scanned(database, tmp_path / "in")
    with claim_shards(database, keys) as work:
        transcribe_files(work, lambda options: CountingTranscriber())
    assert "materialize audio_files first" in work.shards[0].failures[0].error
    with (
        pytest.raises(InvalidRequestError, match="transcribe first"),
        claim_shards(database, keys, stage="publish") as work,
    ):
        write_minutes(work, lambda options: ExtractiveSummarizer())


def test_an_unavailable_source_fails_no_file(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    (tmp_path / "in").rename(tmp_path / "moved")
    with pytest.raises(ConfigurationError, match="source cannot be used"):
        transcribe(database, keys, CountingTranscriber())
    assert statuses_of(database, batch.id) == {"a.wav": "pending"}
    assert "source cannot be used" in (progress(database, batch.id).error or "")
