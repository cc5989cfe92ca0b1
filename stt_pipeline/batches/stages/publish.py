"""The steps of the publish stage on the shards of one run: minutes from transcripts, and mails with the minutes."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from sqlalchemy import Connection

from stt_pipeline.audio.address import display_name
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard, Done
from stt_pipeline.batches.execution.file_loop import Work, for_each_file
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.batches.stages.delivery import deliver_once, mail_of, recipients_of
from stt_pipeline.batches.stages.file_states import is_to_process, results_of
from stt_pipeline.batches.stages.mail_content import MAX_ATTACHMENT_BYTES, NOTHING_ATTACHED, MailContent
from stt_pipeline.batches.stages.search_index import indexed_minutes
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.minutes.model import Minutes
from stt_pipeline.minutes.summarizer import Summarizer
from stt_pipeline.notify.events import MinutesReady
from stt_pipeline.notify.notifier import NotifierFor, opened
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import shards
from stt_pipeline.store.results import emails, search, summaries, transcriptions
from stt_pipeline.store.results.emails import Delivery
from stt_pipeline.store.results.search import Indexed
from stt_pipeline.store.results.summaries import Summary
from stt_pipeline.store.results.transcriptions import Transcription

SummarizerFor = Callable[[BatchOptions], Summarizer]
"""Such as :func:`~stt_pipeline.batches.requests.backend_choice.summarizer_for` returns."""


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
        if summary and _is_current(summary, stored, shard) and not claims.reprocess:
            shard.count(file)
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
        written = [one.result[:2] for one in done]
        summaries.save(connection, written, fingerprint=shard.fingerprints.minutes)
        search.replace(connection, [one.result[2] for one in done])

    for_each_file(
        claims,
        step,
        read=read,
        write=write,
        threads=lambda shard: summarizer_for(shard.options).concurrency,
    )
    _require_results(claims)


def notify(claims: ShardClaims, notifier_for: NotifierFor, content: MailContent = NOTHING_ATTACHED) -> None:
    """Deliver the minutes of each file to the recipients of its batch, once, and set the file to success.

    Where the batch sends a digest, or no minutes, only the status is set. The notes of a shard name minutes that were not
    delivered on purpose: of recordings without speech, and of those that a recipient got before.

    Raises:
        InvalidRequestError: no file has minutes yet.
        ConfigurationError: a recipient or the settings of a notifier are wrong; no file fails.
    """

    def read(
        connection: Connection, shard: ClaimedShard, some: Sequence[AudioFile]
    ) -> Mapping[int, tuple[Summary, bool | None]]:
        minutes = summaries.of_files(connection, _unpublished(some))
        # only of shards whose minutes are mailed one by one
        have_text = (
            transcriptions.have_text(connection, _unpublished(some)) if _mails_each(connection, shard) else {}
        )
        return {file_id: (summary, have_text.get(file_id)) for file_id, summary in minutes.items()}

    def step(
        shard: ClaimedShard, file: AudioFile, known: tuple[Summary, bool | None] | None
    ) -> Work[None] | None:
        is_due = is_to_process("notify", shard, file, results_of(file, has_minutes=known is not None))
        return partial(delivered, shard, file, *known) if is_due and known else None

    def delivered(
        shard: ClaimedShard, file: AudioFile, summary: Summary, has_text: bool | None
    ) -> Done[None]:
        if has_text is False:
            shard.notes.append(f"{display_name(file.uri)} has no speech, so its minutes are not mailed.")
        elif has_text:
            shard.notes += _deliver_minutes(claims, shard, file, summary, notifier_for, content)
        return Done(file, None, file.duration or 0.0)

    def write(connection: Connection, shard: ClaimedShard, done: Sequence[Done[None]]) -> None:
        count, seconds = files.succeed(connection, shard.batch.id, [one.file.id for one in done])
        shards.count_successes(connection, shard.shard.id, files=count, audio_seconds=seconds)

    recipients = [recipient for shard in claims.shards for recipient in recipients_of(shard.batch)]
    with opened(notifier_for, recipients):
        for_each_file(claims, step, read=read, write=write)
    _require_results(claims)


def _mails_each(connection: Connection, shard: ClaimedShard) -> bool:
    """Return whether the minutes of the shard's recordings are mailed one by one.

    In a batch with a digest that is so after the digest, for recordings that were retried.
    """
    if not shard.batch.notify_emails:
        return False
    mail = mail_of(shard.options, shard.batch.total_files)
    return mail == "each" or (mail == "digest" and emails.has_digest(connection, shard.batch.id))


def _is_current(summary: Summary, stored: Transcription, shard: ClaimedShard) -> bool:
    """Return whether minutes were made from this transcript, with the present options, where those are known."""
    same_options = summary.fingerprint in (None, shard.fingerprints.minutes)
    return same_options and summary.created_at > stored.processing_completed_at


def _unpublished(some: Sequence[AudioFile]) -> list[AudioFile]:
    """Return the files whose results the steps need to read."""
    return [file for file in some if file.status in ("transcribed", "failed")]


def _require_results(claims: ShardClaims) -> None:
    """Fail a run that could do nothing, because its files wait for an earlier step."""
    waiting = [failure for shard in claims.shards for failure in shard.failures if not failure.error_class]
    if waiting and not any(shard.done for shard in claims.shards):
        raise InvalidRequestError(f"There is nothing to work on. {waiting[0].name}: {waiting[0].error}")


def _deliver_minutes(
    claims: ShardClaims,
    shard: ClaimedShard,
    file: AudioFile,
    summary: Summary,
    notifier_for: NotifierFor,
    content: MailContent,
) -> list[str]:
    """Deliver the minutes to each recipient, and return a sentence if some of them got them before."""

    made: list[MinutesReady] = []  # for all recipients; a Word file takes a while

    def read(connection: Connection) -> Transcription | None:
        return None if made else transcriptions.of_files(connection, [file])[file.id]

    def event_of(stored: Transcription | None) -> MinutesReady:
        if stored is not None:
            made.append(_event(shard.options, file, stored, summary, content))
        return made[0]

    for recipient in recipients_of(shard.batch):
        delivery = Delivery(
            shard.batch.id,
            str(recipient),
            "minutes",
            summary_id=summary.id,
            audio_file_id=file.id,
            content_sha256=file.content_sha256,
            again=shard.options.mail_again,
        )
        deliver_once(claims.database, notifier_for, recipient, delivery, read=read, event_of=event_of)
    with claims.database.begin() as connection:
        not_sent = emails.not_sent(connection, summary.id)
    if unconfirmed := not_sent.get("unconfirmed"):
        shard.report(
            file,
            f"It is not known whether {', '.join(unconfirmed)} got the minutes, because the process ended while it "
            "delivered them; they are not delivered again.",
        )
    repeated = not_sent.get("repeated")
    name = display_name(file.uri)
    return (
        [f"{name}: {', '.join(repeated)} got the minutes of the same recording before."] if repeated else []
    )


def _event(
    options: BatchOptions, file: AudioFile, stored: Transcription, summary: Summary, content: MailContent
) -> MinutesReady:
    recording = content.recording(stored, summary.minutes, options)
    document = recording.document()
    attachment = content.attachment(recording) if content.attach != "none" else None
    is_too_large = attachment is not None and len(attachment.content) > MAX_ATTACHMENT_BYTES
    return MinutesReady(
        # ids start again in a new database, and mail servers drop a message id that they know
        id=f"{summary.id}.{file.created_at.timestamp():.0f}",
        name=recording.name,
        language=document.language,
        facts=tuple(document.facts),
        notes=tuple(document.notes),
        minutes=document.minutes or summary.minutes,
        day=content.day_of_recording(recording.name, file.created_at),
        link=content.link_to_transcription(stored.id),
        attachment=None if is_too_large else attachment,
        is_too_large=is_too_large,
    )
