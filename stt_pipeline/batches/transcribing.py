"""The transcribe stage on the shards of one run: what each file is, what was said in it, and by whom.

Each function is one step; a file that fails in one is recorded there, and left out of the next ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from sqlalchemy import Connection

from stt_pipeline.audio.decode import decode
from stt_pipeline.audio.probe import AudioInfo, probe
from stt_pipeline.audio.sound import SoundFile
from stt_pipeline.batches.indexing import indexed_transcript
from stt_pipeline.batches.options import BatchOptions
from stt_pipeline.batches.work import Done, ShardWork, Work
from stt_pipeline.speech.diarization import Diarizer
from stt_pipeline.speech.speakers import assign_speakers
from stt_pipeline.speech.transcriber import Transcriber
from stt_pipeline.store import files, search, transcriptions
from stt_pipeline.store.files import AudioFile
from stt_pipeline.store.search import Indexed
from stt_pipeline.store.transcriptions import NewTranscript, Transcription, TranscriptionStatus

TranscriberFor = Callable[[BatchOptions], Transcriber]
DiarizerFor = Callable[[BatchOptions], Diarizer]

NO_TRANSCRIPT = "It has no transcript yet: transcribe first."


def probe_files(work: Work) -> None:
    """Find out what each file is that was not looked at yet; what cannot be read is recorded."""

    def probe_one(shard: ShardWork, file: AudioFile, known: None) -> Done[AudioInfo] | None:
        if file.duration is not None:
            shard.count(file)
            return None
        if file.status == "failed":
            shard.report(file, file.error or "")
            return None
        with shard.source.local_copy(file.uri, file.etag) as path:
            info = probe(path)
        return Done(file, info, info.duration)

    def write(connection: Connection, shard: ShardWork, done: Sequence[Done[AudioInfo]]) -> None:
        files.save_probes(connection, {one.file.id: one.result for one in done})

    work.for_each_file(probe_one, write=write)


def transcribe_files(work: Work, transcriber_for: TranscriberFor, *, language: str = "") -> None:
    """Store the transcript of each readable file that has none.

    Args:
        language: of batches that name none; empty detects it file by file.

    Raises:
        ConfigurationError: the speech model cannot be had; no file is blamed.
    """

    def read(
        connection: Connection, shard: ShardWork, some: Sequence[AudioFile]
    ) -> Mapping[int, TranscriptionStatus]:
        return transcriptions.statuses(connection, some)

    def transcribe_one(
        shard: ShardWork, file: AudioFile, status: TranscriptionStatus | None
    ) -> Done[NewTranscript] | None:
        if status in ("transcribed", "completed"):
            shard.count(file)
            return None
        if file.status == "failed":
            if file.duration is not None:
                shard.report(file, file.error or "")
            return None
        if file.duration is None:
            shard.report(file, "It was not probed yet: materialize audio_files first.")
            return None
        started_at = datetime.now(timezone.utc)
        with shard.source.local_copy(file.uri, file.etag) as path:
            samples = decode(path)
        transcript = transcriber_for(shard.options).transcribe(
            samples,
            language=shard.options.language or language or None,
            hotwords=shard.options.hotwords or None,
            halvings=file.attempts if file.error_class == "out_of_memory" else 0,
        )
        return Done(file, NewTranscript(file, transcript, started_at), transcript.duration)

    def write(connection: Connection, shard: ShardWork, done: Sequence[Done[NewTranscript]]) -> None:
        transcriptions.save(connection, [one.result for one in done])

    work.for_each_file(transcribe_one, read=read, write=write)


def find_speakers(work: Work, diarizer_for: DiarizerFor) -> None:
    """Find the speakers of each file that has a transcript, and so complete its stage.

    A failure here may cost a file its minutes, but never its transcript.
    """

    def read(
        connection: Connection, shard: ShardWork, some: Sequence[AudioFile]
    ) -> Mapping[int, Transcription]:
        return transcriptions.of_files(
            connection, [file for file in some if file.status in ("pending", "failed")]
        )

    def find_speakers_of(
        shard: ShardWork, file: AudioFile, stored: Transcription | None
    ) -> Done[tuple[Transcription, Indexed]] | None:
        status = stored.status if stored else None
        if file.status in ("transcribed", "success") or (file.status == "failed" and status == "completed"):
            shard.count(file)
            return None
        if file.status == "failed":
            if status == "transcribed":
                shard.report(file, file.error or "")
            return None
        if stored is None or status == "outdated":
            shard.report(file, NO_TRANSCRIPT)
            return None
        with shard.source.local_copy(file.uri, file.etag) as path:
            turns = diarizer_for(shard.options).diarize(
                SoundFile(path),
                min_speakers=shard.options.min_speakers,
                max_speakers=shard.options.max_speakers,
            )
        transcript = assign_speakers(stored.transcript, turns)
        spoken = replace(stored, transcript=transcript, turns=turns)
        return Done(file, (spoken, indexed_transcript(spoken)), transcript.duration)

    def write(
        connection: Connection, shard: ShardWork, done: Sequence[Done[tuple[Transcription, Indexed]]]
    ) -> None:
        transcriptions.save_speakers(connection, [one.result[0] for one in done])
        search.replace(connection, [one.result[1] for one in done])
        files.set_status(connection, [one.file.id for one in done], "transcribed")

    work.for_each_file(find_speakers_of, read=read, write=write)
