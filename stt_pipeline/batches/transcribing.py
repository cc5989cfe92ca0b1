"""The transcribe stage on the shards of one run: what each file is, what was said in it, and by whom.

Each function is one step; a file that fails in one is recorded there, and left out of the next ones.
"""

from collections.abc import Callable
from datetime import datetime, timezone

from stt_pipeline.audio.decode import decode
from stt_pipeline.audio.probe import probe
from stt_pipeline.batches.options import BatchOptions
from stt_pipeline.batches.work import ShardWork, Work
from stt_pipeline.speech.diarization import Diarizer
from stt_pipeline.speech.speakers import assign_speakers
from stt_pipeline.speech.transcriber import Transcriber
from stt_pipeline.store import files, transcriptions
from stt_pipeline.store.files import AudioFile

TranscriberFor = Callable[[BatchOptions], Transcriber]
DiarizerFor = Callable[[BatchOptions], Diarizer]

NO_TRANSCRIPT = "It has no transcript yet: transcribe first."


def probe_files(work: Work) -> None:
    """Find out what each file is that was not looked at yet; what cannot be read is recorded."""

    def probe_one(shard: ShardWork, file: AudioFile) -> None:
        if file.duration is not None:
            shard.count(file)
        elif file.status == "failed":
            shard.report(file, file.error or "")
        else:
            with shard.source.local_copy(file.uri) as path:
                info = probe(path)
            with work.database.begin() as connection:
                shard.prove(connection)
                files.save_probe(connection, file.id, info)
            shard.count(file, seconds=info.duration)

    work.for_each_file(probe_one)


def transcribe_files(work: Work, transcriber_for: TranscriberFor, *, language: str = "") -> None:
    """Store the transcript of each readable file that has none.

    Args:
        language: of batches that name none; empty detects it file by file.

    Raises:
        ConfigurationError: the speech model cannot be had; no file is blamed.
    """

    def transcribe_one(shard: ShardWork, file: AudioFile) -> None:
        with work.database.begin() as connection:
            status = transcriptions.status_of(connection, file)
        if status in ("transcribed", "completed"):
            shard.count(file)
        elif file.status == "failed":
            if file.duration is not None:
                shard.report(file, file.error or "")
        elif file.duration is None:
            shard.report(file, "It was not probed yet: materialize audio_files first.")
        else:
            started_at = datetime.now(timezone.utc)
            with shard.source.local_copy(file.uri) as path:
                samples = decode(path)
            transcript = transcriber_for(shard.options).transcribe(
                samples,
                language=shard.options.language or language or None,
                hotwords=shard.options.hotwords or None,
            )
            with work.database.begin() as connection:
                shard.prove(connection)
                transcriptions.save(connection, file, transcript, started_at=started_at)
            shard.count(file, seconds=transcript.duration)

    work.for_each_file(transcribe_one)


def find_speakers(work: Work, diarizer_for: DiarizerFor) -> None:
    """Find the speakers of each file that has a transcript, and so complete its stage.

    A failure here may cost a file its minutes, but never its transcript.
    """

    def find_speakers_of(shard: ShardWork, file: AudioFile) -> None:
        with work.database.begin() as connection:
            status = transcriptions.status_of(connection, file)
        if status == "completed" and file.status != "pending":
            shard.count(file)
        elif file.status == "failed":
            if status == "transcribed":
                shard.report(file, file.error or "")
        elif status in (None, "outdated"):
            shard.report(file, NO_TRANSCRIPT)
        else:
            with work.database.begin() as connection:
                stored = transcriptions.of_file(connection, file)
            assert stored is not None  # its status was read above, and nobody else has the lease
            with shard.source.local_copy(file.uri) as path:
                samples = decode(path)
            turns = diarizer_for(shard.options).diarize(
                samples, min_speakers=shard.options.min_speakers, max_speakers=shard.options.max_speakers
            )
            transcript = assign_speakers(stored.transcript, turns)
            with work.database.begin() as connection:
                shard.prove(connection)
                transcriptions.save_speakers(connection, stored, transcript=transcript, turns=turns)
                files.set_status(connection, file.id, "transcribed")
            shard.count(file, seconds=transcript.duration)

    work.for_each_file(find_speakers_of)
