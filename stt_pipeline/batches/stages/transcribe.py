"""The steps of the transcribe stage on the shards of one run: probe, transcription, diarization.

A file that fails in one step is recorded there, and the next steps skip it.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import cast

from sqlalchemy import Connection

from stt_pipeline.audio.content_hash import content_sha256
from stt_pipeline.audio.probe import AudioInfo, probe
from stt_pipeline.audio.sound import Sound, SoundFile
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard, Done
from stt_pipeline.batches.execution.file_loop import Work, for_each_file
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.batches.execution.transcription_stream import transcribe_each_file
from stt_pipeline.batches.requests.options import BatchOptions, speaker_count, transcription_options
from stt_pipeline.batches.stages.file_states import is_to_process, results_of
from stt_pipeline.batches.stages.search_index import indexed_transcript
from stt_pipeline.settings import MAX_AUDIO_HOURS
from stt_pipeline.speech.alignment import align
from stt_pipeline.speech.channel_speakers import find_turns
from stt_pipeline.speech.diarization import Diarizer
from stt_pipeline.speech.freed_memory import give_back_freed_memory
from stt_pipeline.speech.models import usable_cores
from stt_pipeline.speech.postprocess import WithPostprocessing
from stt_pipeline.speech.recordings import Outcome, Recording
from stt_pipeline.speech.speakers import assign_speakers
from stt_pipeline.speech.transcriber import Transcriber
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import batch_stats
from stt_pipeline.store.results import search, transcriptions
from stt_pipeline.store.results.search import Indexed
from stt_pipeline.store.results.transcriptions import NewTranscript, Transcription, TranscriptionStatus

TranscriberFor = Callable[[BatchOptions], Transcriber]
DiarizerFor = Callable[[BatchOptions], Diarizer]

_PROBE_THREADS = 8  # a probe takes little work, and waits for the source
_DIARIZE_THREADS = 4  # at most, each on its own core


def probe_files(claims: ShardClaims, *, max_hours: float = MAX_AUDIO_HOURS) -> None:
    """Store the format and the SHA-256 of each file that has not been probed; one of more than ``max_hours`` fails."""

    def probed(shard: ClaimedShard, file: AudioFile) -> Done[tuple[AudioInfo, bytes]]:
        with shard.source.open_local(file.uri, file.etag) as path:
            info = probe(path, max_hours=max_hours, audio_track=shard.options.audio_track)
            content = content_sha256(path)
        return Done(file, (info, content), info.duration)

    def step(shard: ClaimedShard, file: AudioFile, known: None) -> Work[tuple[AudioInfo, bytes]] | None:
        is_due = is_to_process("probe", shard, file, results_of(file))
        return partial(probed, shard, file) if is_due else None

    def write(
        connection: Connection, shard: ClaimedShard, done: Sequence[Done[tuple[AudioInfo, bytes]]]
    ) -> None:
        files.save_probes(connection, {one.file.id: one.result for one in done})

    for_each_file(claims, step, write=write, threads=_PROBE_THREADS)


def model_of(options: BatchOptions) -> Hashable:
    """Return what tells the transcribers of batches apart, where only the model does."""
    return options.model


def transcribe_files(
    claims: ShardClaims,
    transcriber_for: TranscriberFor,
    *,
    key: Callable[[BatchOptions], Hashable] = model_of,
    language: str = "",
    max_hours: float = MAX_AUDIO_HOURS,
) -> None:
    """Store the transcript of each probed file that has none.

    The transcriber gets the recordings of all shards of the run together. It fetches them in its own threads. Transcripts
    are stored before diarization.

    Args:
        key: batches with options of equal keys share a transcriber.
        language: for batches without an option about languages; empty detects the language of each file.
        max_hours: a recording that decodes to more fails.

    Raises:
        ConfigurationError: the speech model is not available; no file has failed.
    """
    opened_at: dict[int, datetime] = {}

    def read(
        connection: Connection, shard: ClaimedShard, some: Sequence[AudioFile]
    ) -> Mapping[int, TranscriptionStatus]:
        return transcriptions.statuses(connection, some)

    def begin(shard: ClaimedShard, file: AudioFile, status: TranscriptionStatus | None) -> Recording | None:
        if not is_to_process("transcribe", shard, file, results_of(file, status)):
            return None
        source = shard.source

        @contextmanager
        def fetched() -> Iterator[Sound]:
            opened_at.setdefault(file.id, datetime.now(UTC))
            with source.open_local(file.uri, file.etag) as path:
                yield SoundFile(path, max_hours=max_hours, audio_track=shard.options.audio_track)

        return Recording(
            file.id,
            fetched,
            transcription_options(shard.options, language=language),
            halvings=file.attempts if file.error_class == "out_of_memory" else 0,
        )

    def finish(file: AudioFile, outcome: Outcome) -> Done[NewTranscript]:
        transcript = cast(Transcript, outcome.result)
        new = NewTranscript(file, transcript, opened_at.pop(file.id))
        return Done(file, new, transcript.duration, outcome.seconds)

    def write(connection: Connection, shard: ClaimedShard, done: Sequence[Done[NewTranscript]]) -> None:
        results = [one.result for one in done]
        transcriptions.save(connection, results, fingerprint=shard.fingerprints.transcript)
        batch_stats.add_transcripts(connection, shard.batch.id, shard.shard.id, len(done))

    transcribe_each_file(
        claims,
        lambda shard: WithPostprocessing(transcriber_for(shard.options)),
        begin,
        finish,
        key=lambda shard: key(shard.options),
        read=read,
        write=write,
    )
    give_back_freed_memory()


def find_speakers(
    claims: ShardClaims,
    diarizer_for: DiarizerFor,
    *,
    device: str = "auto",
    max_hours: float = MAX_AUDIO_HOURS,
) -> None:
    """Store the speaker turns of each file that has a transcript, and so complete its stage.

    With the option ``align``, the times of words are refined first. A failure here may cost a file its minutes, but never
    its transcript.

    Args:
        device: device of the alignment, as STT_DEVICE.
        max_hours: as for :func:`transcribe_files`.

    Raises:
        ConfigurationError: the diarization backend, or the alignment model, is not available; no file has failed.
    """

    def diarized(
        shard: ClaimedShard, file: AudioFile, stored: Transcription
    ) -> Done[tuple[Transcription, Indexed]]:
        options = shard.options
        with shard.source.open_local(file.uri, file.etag) as path:
            sound = SoundFile(path, max_hours=max_hours, audio_track=options.audio_track)
            turns = find_turns(stored.transcript, sound, diarizer_for(options), speaker_count(options))
            aligned = align(stored.transcript, sound, device) if options.align else stored.transcript
        result = replace(stored, transcript=assign_speakers(aligned, turns), turns=turns)
        return Done(file, (result, indexed_transcript(result)), result.transcript.duration)

    def read(
        connection: Connection, shard: ClaimedShard, some: Sequence[AudioFile]
    ) -> Mapping[int, Transcription]:
        return transcriptions.of_files(
            connection, [file for file in some if file.status in ("pending", "failed")]
        )

    def step(
        shard: ClaimedShard, file: AudioFile, stored: Transcription | None
    ) -> Work[tuple[Transcription, Indexed]] | None:
        results = results_of(file, stored.status if stored else None)
        is_due = is_to_process("diarize", shard, file, results)
        return partial(diarized, shard, file, stored) if is_due and stored else None

    def write(
        connection: Connection, shard: ClaimedShard, done: Sequence[Done[tuple[Transcription, Indexed]]]
    ) -> None:
        results = [one.result[0] for one in done]
        transcriptions.save_speakers(connection, results, fingerprint=shard.fingerprints.speakers)
        search.replace(connection, [one.result[1] for one in done])
        files.set_transcribed(connection, [one.file.id for one in done])

    threads = min(_DIARIZE_THREADS, usable_cores())
    for_each_file(claims, step, read=read, write=write, threads=threads, shortest_first=True)
