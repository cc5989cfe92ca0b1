"""The publish stage on the shards of one run: minutes from transcripts, and mails to the people of the batch."""

from collections.abc import Callable

from stt_pipeline.audio.uris import display_name
from stt_pipeline.batches.intake import ONE_FILE_SHARDS
from stt_pipeline.batches.options import BatchOptions
from stt_pipeline.batches.work import FileFailure, ShardWork, Work
from stt_pipeline.errors import EmailError
from stt_pipeline.mail.mail import Mail
from stt_pipeline.mail.mailer import Mailer
from stt_pipeline.mail.messages import minutes_mail
from stt_pipeline.minutes.model import Summarizer
from stt_pipeline.store import counters, emails, files, summaries, transcriptions
from stt_pipeline.store.database import Database
from stt_pipeline.store.files import AudioFile

SummarizerFor = Callable[[BatchOptions], Summarizer]


def write_minutes(work: Work, summarizer_for: SummarizerFor) -> None:
    """Store the minutes of each file that has a transcript; a file without one is reported, not blamed."""
    for shard in list(work.shards):
        with work.on(shard):
            with work.database.begin() as connection:
                manifest = files.of_shard(connection, shard.shard.id)
            for file in manifest:
                if file.status == "pending":
                    shard.failures.append(_not_yet(file, "It has no transcript yet: transcribe first."))
                elif file.status == "transcribed":
                    with work.attempt(shard, file):
                        _write_minutes_of(work, shard, file, summarizer_for(shard.options))
                        shard.done += 1
                elif file.status == "success":
                    shard.done += 1


def _write_minutes_of(work: Work, shard: ShardWork, file: AudioFile, summarizer: Summarizer) -> None:
    with work.database.begin() as connection:
        stored = transcriptions.of_file(connection, file)
        assert stored is not None  # a file is "transcribed" in the transaction that stores its transcript
        summary = summaries.of_transcription(connection, stored)
    if summary is not None and summary.created_at > stored.processing_completed_at and not work.reprocess:
        return  # a run that died after this step; an LLM's work is not thrown away
    minutes = summarizer.summarize(stored.transcript)
    with work.database.begin() as connection:
        shard.prove(connection)
        summaries.save(connection, stored, minutes)


def notify(work: Work, mailer: Mailer) -> None:
    """Mail the minutes of each file to the batch's people, once, and so complete the file."""
    for shard in list(work.shards):
        with work.on(shard):
            with work.database.begin() as connection:
                manifest = files.of_shard(connection, shard.shard.id)
            for file in manifest:
                if file.status == "pending":
                    shard.failures.append(_not_yet(file, "It has no transcript yet: transcribe first."))
                elif file.status == "transcribed":
                    with work.attempt(shard, file):
                        shard.done += _complete(work, shard, file, mailer)
                elif file.status == "success":
                    shard.done += 1


def _complete(work: Work, shard: ShardWork, file: AudioFile, mailer: Mailer) -> bool:
    """Send what is to be sent about one file and mark it a success; False where its minutes are missing."""
    with work.database.begin() as connection:
        stored = transcriptions.of_file(connection, file)
        summary = summaries.of_transcription(connection, stored) if stored else None
    if stored is None or summary is None:
        shard.failures.append(_not_yet(file, "It has no minutes yet: materialize meeting_minutes first."))
        return False
    if mails_minutes(shard):
        for recipient in shard.batch.notify_emails:
            # ids start again in a new database, and mail servers drop a message id that they know
            mail = minutes_mail(
                recipient,
                summary_id=f"{summary.id}.{file.created_at:%Y%m%d%H%M%S}",
                name=display_name(file.uri),
                transcript=stored.transcript,
                minutes=summary.minutes,
            )
            send_once(work.database, mailer, mail, batch_id=shard.batch.id, summary_id=summary.id)
    with work.database.begin() as connection:
        shard.prove(connection)
        files.set_status(connection, file.id, "success")
        counters.add_throughput(connection, shard.batch.id, files=1, audio_seconds=stored.transcript.duration)
    shard.audio_seconds += stored.transcript.duration
    return True


def mails_minutes(shard: ShardWork) -> bool:
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
    except EmailError as error:
        with database.begin() as connection:
            emails.finish(connection, log_id, sent=False, note=str(error))
        raise
    with database.begin() as connection:
        emails.finish(connection, log_id, sent=True, note=note)
    return True


def _not_yet(file: AudioFile, reason: str) -> FileFailure:
    return FileFailure(display_name(file.uri), "", reason, final=False)
