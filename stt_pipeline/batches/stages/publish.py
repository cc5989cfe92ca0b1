"""The steps of the publish stage on the shards of one run: minutes from transcripts, and mails with the minutes."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from sqlalchemy import Connection

from stt_pipeline.audio.address import display_name
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard, Done
from stt_pipeline.batches.execution.file_loop import Work, for_each_file
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.batches.ingest.scan import ONE_FILE_SHARDS
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.batches.stages.file_states import is_to_process, results_of
from stt_pipeline.batches.stages.search_index import indexed_minutes
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.mail.mail import Mail
from stt_pipeline.mail.mailer import Mailer
from stt_pipeline.mail.messages import minutes_mail
from stt_pipeline.minutes.model import Minutes, Summarizer
from stt_pipeline.speech.transcript import TranscriptHeader
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import batch_stats, shards
from stt_pipeline.store.results import emails, search, summaries, transcriptions
from stt_pipeline.store.results.search import Indexed
from stt_pipeline.store.results.summaries import Summary
from stt_pipeline.store.results.transcriptions import Transcription

SummarizerFor = Callable[[BatchOptions], Summarizer]


def write_minutes(claims: ShardClaims, summarizer_for: SummarizerFor) -> None:
    """Store the minutes of each file that has a transcript; a file without one is reported and does not fail.

    Raises:
        InvalidRequestError: no file has a transcript yet.
    """

    def read(
        connection: Connection, shard: ClaimedShard, some: Sequence[AudioFile]
    ) -> Mapping[int, tuple[Transcription, Summary | None]]:
        minutes = summaries.of_files(connection, _unpublished(some))
        transcripts = transcriptions.of_files(connection, _unpublished(some))
        return {file_id: (stored, minutes.get(file_id)) for file_id, stored in transcripts.items()}

    def step(
        shard: ClaimedShard, file: AudioFile, known: tuple[Transcription, Summary | None] | None
    ) -> Work[tuple[Transcription, Minutes, Indexed]] | None:
        stored, summary = known or (None, None)
        results = results_of(file, stored.status if stored else None, has_minutes=summary is not None)
        if not is_to_process("summarize", shard, file, results) or stored is None:
            return None
        # a run that died after this step has left minutes; those of an LLM are expensive
        if summary and summary.created_at > stored.processing_completed_at and not claims.reprocess:
            shard.count(file, seconds=stored.transcript.duration)
            return None
        return partial(summarized, summarizer_for(shard.options), file, stored)

    def summarized(
        summarizer: Summarizer, file: AudioFile, stored: Transcription
    ) -> Done[tuple[Transcription, Minutes, Indexed]]:
        minutes = summarizer.summarize(stored.transcript)
        result = (stored, minutes, indexed_minutes(stored, minutes))
        return Done(file, result, stored.transcript.duration)

    def write(
        connection: Connection,
        shard: ClaimedShard,
        done: Sequence[Done[tuple[Transcription, Minutes, Indexed]]],
    ) -> None:
        summaries.save(connection, [one.result[:2] for one in done])
        search.replace(connection, [one.result[2] for one in done])

    for_each_file(
        claims,
        step,
        read=read,
        write=write,
        threads=lambda shard: summarizer_for(shard.options).concurrency,
    )
    _require_results(claims)


def notify(claims: ShardClaims, mailer: Mailer) -> None:
    """Mail the minutes of each file to the batch's ``notify_emails``, once, and so complete the file.

    Raises:
        InvalidRequestError: no file has minutes yet.
    """

    def read(
        connection: Connection, shard: ClaimedShard, some: Sequence[AudioFile]
    ) -> Mapping[int, tuple[Summary, TranscriptHeader | None]]:
        minutes = summaries.of_files(connection, _unpublished(some))
        headers = transcriptions.headers(connection, _unpublished(some)) if mails_minutes(shard) else {}
        return {file_id: (summary, headers.get(file_id)) for file_id, summary in minutes.items()}

    def step(
        shard: ClaimedShard, file: AudioFile, known: tuple[Summary, TranscriptHeader | None] | None
    ) -> Work[None] | None:
        is_due = is_to_process("notify", shard, file, results_of(file, has_minutes=known is not None))
        return partial(mailed, shard, file, *known) if is_due and known else None

    def mailed(
        shard: ClaimedShard, file: AudioFile, summary: Summary, header: TranscriptHeader | None
    ) -> Done[None]:
        if header:
            _mail_minutes(claims, shard, file, header, summary, mailer)
        return Done(file, None, file.duration or 0.0)

    def write(connection: Connection, shard: ClaimedShard, done: Sequence[Done[None]]) -> None:
        seconds = sum(one.seconds for one in done)
        files.set_status(connection, [one.file.id for one in done], "success")
        shards.count_successes(connection, shard.shard.id, files=len(done), audio_seconds=seconds)
        batch_stats.add_throughput(connection, shard.batch.id, files=len(done), audio_seconds=seconds)

    with mailer:
        for_each_file(claims, step, read=read, write=write)
    _require_results(claims)


def _unpublished(some: Sequence[AudioFile]) -> list[AudioFile]:
    """Return the files whose results the steps need to read."""
    return [file for file in some if file.status in ("transcribed", "failed")]


def _require_results(claims: ShardClaims) -> None:
    """Fail a run that could do nothing, because its files wait for an earlier step."""
    waiting = [failure for shard in claims.shards for failure in shard.failures if not failure.error_class]
    if waiting and not any(shard.done for shard in claims.shards):
        raise InvalidRequestError(f"There is nothing to work on. {waiting[0].name}: {waiting[0].error}")


def _mail_minutes(
    claims: ShardClaims,
    shard: ClaimedShard,
    file: AudioFile,
    header: TranscriptHeader,
    summary: Summary,
    mailer: Mailer,
) -> None:
    for recipient in shard.batch.notify_emails:
        mail = minutes_mail(
            recipient,
            # ids start again in a new database, and mail servers drop a message id that they have seen
            summary_id=f"{summary.id}.{file.created_at.timestamp():.0f}",
            name=display_name(file.uri),
            transcript=header,
            minutes=summary.minutes,
        )
        send_once(claims.database, mailer, mail, batch_id=shard.batch.id, summary_id=summary.id)
    with claims.database.begin() as connection:
        unconfirmed = emails.unconfirmed(connection, summary.id)
    if unconfirmed:
        shard.report(
            file,
            f"It is unknown whether the mail to {', '.join(unconfirmed)} was sent. It is not sent again, to avoid a "
            "second mail.",
        )


def mails_minutes(shard: ClaimedShard) -> bool:
    """Return whether each recording's minutes are mailed: as the batch's option says, else only in small batches."""
    if shard.options.mail_minutes is not None:
        return shard.options.mail_minutes
    return (shard.batch.total_files or 0) <= ONE_FILE_SHARDS


def send_once(
    database: Database, mailer: Mailer, mail: Mail, *, batch_id: int, summary_id: int | None
) -> bool:
    """Send ``mail`` unless it was sent before; return whether it was sent now.

    Raises:
        EmailError: the mail server did not accept it; the error is logged, and a later try sends it.
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
