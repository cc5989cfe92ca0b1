"""The publish stage on the shards of one run: minutes from transcripts, and mails to the people of the batch."""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from stt_pipeline.audio.address import display_name
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard, Done
from stt_pipeline.batches.execution.file_loop import for_each_file
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.batches.ingest.scan import ONE_FILE_SHARDS
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.batches.stages.search_index import indexed_minutes
from stt_pipeline.batches.stages.transcribe import NO_TRANSCRIPT
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.mail.mail import Mail
from stt_pipeline.mail.mailer import Mailer
from stt_pipeline.mail.messages import minutes_mail
from stt_pipeline.minutes.model import Minutes, Summarizer
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import batch_stats, shards
from stt_pipeline.store.results import emails, search, summaries, transcriptions
from stt_pipeline.store.results.search import Indexed
from stt_pipeline.store.results.summaries import Summary
from stt_pipeline.store.results.transcriptions import Transcription

SummarizerFor = Callable[[BatchOptions], Summarizer]


def write_minutes(work: ShardClaims, summarizer_for: SummarizerFor) -> None:
    """Store the minutes of each file that has a transcript; a file without one is reported, not blamed.

    Raises:
        InvalidRequestError: no file has a transcript yet.
    """

    def read(
        connection: Connection, shard: ClaimedShard, some: Sequence[AudioFile]
    ) -> Mapping[int, tuple[Transcription, Summary | None]]:
        minutes = summaries.of_files(connection, _in_work(some))
        transcripts = transcriptions.of_files(connection, _in_work(some))
        return {file_id: (stored, minutes.get(file_id)) for file_id, stored in transcripts.items()}

    def write_minutes_of(
        shard: ClaimedShard, file: AudioFile, known: tuple[Transcription, Summary | None] | None
    ) -> Done[tuple[Transcription, Minutes, Indexed]] | None:
        stored, summary = known or (None, None)
        if file.status == "success":
            shard.count(file)
        elif file.status == "failed":
            if stored is not None and stored.status == "completed" and summary is None:
                shard.report(file, file.error or "")
        elif file.status == "pending" or stored is None:
            shard.report(file, NO_TRANSCRIPT)
        # a run that died after this step left minutes behind; an LLM's work is not thrown away
        elif summary and summary.created_at > stored.processing_completed_at and not work.reprocess:
            shard.count(file, seconds=stored.transcript.duration)
        else:
            minutes = summarizer_for(shard.options).summarize(stored.transcript)
            written = (stored, minutes, indexed_minutes(stored, minutes))
            return Done(file, written, stored.transcript.duration)
        return None

    def write(
        connection: Connection,
        shard: ClaimedShard,
        done: Sequence[Done[tuple[Transcription, Minutes, Indexed]]],
    ) -> None:
        summaries.save(connection, [one.result[:2] for one in done])
        search.replace(connection, [one.result[2] for one in done])

    for_each_file(work, write_minutes_of, read=read, write=write)
    _require_something(work)


def notify(work: ShardClaims, mailer: Mailer) -> None:
    """Mail the minutes of each file to the batch's people, once, and so complete the file.

    Raises:
        InvalidRequestError: no file has minutes yet.
    """

    def read(
        connection: Connection, shard: ClaimedShard, some: Sequence[AudioFile]
    ) -> Mapping[int, tuple[Summary, Transcription | None]]:
        minutes = summaries.of_files(connection, _in_work(some))
        transcripts = transcriptions.of_files(connection, _in_work(some)) if mails_minutes(shard) else {}
        return {file_id: (summary, transcripts.get(file_id)) for file_id, summary in minutes.items()}

    def notify_about(
        shard: ClaimedShard, file: AudioFile, known: tuple[Summary, Transcription | None] | None
    ) -> Done[None] | None:
        if file.status == "success":
            shard.count(file)
        elif file.status == "pending":
            shard.report(file, NO_TRANSCRIPT)
        elif file.status == "failed":
            if known:
                shard.report(file, file.error or "")
        elif known is None:
            shard.report(file, "It has no minutes yet: materialize meeting_minutes first.")
        else:
            summary, stored = known
            if stored:
                _mail_minutes(work, shard, file, stored, summary, mailer)
            return Done(file, None, file.duration or 0.0)
        return None

    def write(connection: Connection, shard: ClaimedShard, done: Sequence[Done[None]]) -> None:
        seconds = sum(one.seconds for one in done)
        files.set_status(connection, [one.file.id for one in done], "success")
        shards.count_successes(connection, shard.shard.id, files=len(done), audio_seconds=seconds)
        batch_stats.add_throughput(connection, shard.batch.id, files=len(done), audio_seconds=seconds)

    with mailer:
        for_each_file(work, notify_about, read=read, write=write)
    _require_something(work)


def _in_work(some: Sequence[AudioFile]) -> list[AudioFile]:
    """Return the files of which results are looked at; those of others are not read."""
    return [file for file in some if file.status in ("transcribed", "failed")]


def _require_something(work: ShardClaims) -> None:
    """Refuse a run that could do nothing, because its files wait for an earlier step."""
    waiting = [failure for shard in work.shards for failure in shard.failures if not failure.error_class]
    if waiting and not any(shard.done for shard in work.shards):
        raise InvalidRequestError(f"There is nothing to work on. {waiting[0].name}: {waiting[0].error}")


def _mail_minutes(
    work: ShardClaims,
    shard: ClaimedShard,
    file: AudioFile,
    stored: Transcription,
    summary: Summary,
    mailer: Mailer,
) -> None:
    for recipient in shard.batch.notify_emails:
        mail = minutes_mail(
            recipient,
            # ids start again in a new database, and mail servers drop a message id that they know
            summary_id=f"{summary.id}.{file.created_at.timestamp():.0f}",
            name=display_name(file.uri),
            transcript=stored.transcript,
            minutes=summary.minutes,
        )
        send_once(work.database, mailer, mail, batch_id=shard.batch.id, summary_id=summary.id)
    with work.database.begin() as connection:
        unconfirmed = emails.unconfirmed(connection, summary.id)
    if unconfirmed:
        shard.report(
            file, f"Nobody knows whether the mail to {', '.join(unconfirmed)} went out; it is not sent again."
        )


def mails_minutes(shard: ClaimedShard) -> bool:
    """Say whether each recording's minutes are mailed: as the batch says, or else only in small batches."""
    if shard.options.mail_minutes is not None:
        return shard.options.mail_minutes
    return (shard.batch.total_files or 0) <= ONE_FILE_SHARDS


def send_once(
    database: Database, mailer: Mailer, mail: Mail, *, batch_id: int, summary_id: int | None
) -> bool:
    """Send ``mail`` unless it was sent before; return whether it was sent now.

    Raises:
        EmailError: it could not be handed over; the log says so, and a later try sends it.
    """
    with database.begin() as connection:
        log_id = emails.begin(connection, batch_id=batch_id, summary_id=summary_id, recipient=mail.recipient)
    if log_id is None:
        return False
    try:
        note = mailer.send(mail)
    except Exception as error:
        with database.begin() as connection:
            emails.finish(connection, log_id, sent=False, note=str(error))
        raise
    with database.begin() as connection:
        emails.finish(connection, log_id, sent=True, note=note)
    return True
