"""The transcribe stage on the shards of one run: what each file is, what was said in it, and by whom.

Each function is one step; a file that fails in one is recorded and left out of the next ones.
"""

from collections.abc import Callable
from datetime import datetime, timezone

from stt_pipeline.audio.decode import decode
from stt_pipeline.audio.patterns import DEFAULT_PATTERN
from stt_pipeline.audio.probe import probe
from stt_pipeline.audio.sources import Source, open_source
from stt_pipeline.audio.uris import display_name
from stt_pipeline.batches.options import BatchOptions
from stt_pipeline.batches.work import FileFailure, ShardWork, Work
from stt_pipeline.speech.diarization import Diarizer
from stt_pipeline.speech.speakers import assign_speakers
from stt_pipeline.speech.transcriber import Transcriber
from stt_pipeline.store import files, transcriptions

TranscriberFor = Callable[[BatchOptions], Transcriber]
DiarizerFor = Callable[[BatchOptions], Diarizer]

_FAILED_BEFORE_SPEECH = ("unreadable", "too_large", "no_audio", "download")


def probe_files(work: Work) -> None:
    """Find out what each file is that was not looked at yet; what cannot be read is recorded."""
    for shard in list(work.shards):
        with work.on(shard):
            source = _source(shard)
            with work.database.begin() as connection:
                manifest = files.of_shard(connection, shard.shard.id)
            for file in manifest:
                if file.status == "failed" and file.error_class in _FAILED_BEFORE_SPEECH:
                    shard.failures.append(
                        FileFailure(display_name(file.uri), file.error_class, file.error or "", final=True)
                    )
                elif file.duration is None and file.status == "pending":
                    with work.attempt(shard, file):
                        with source.local_copy(file.uri) as path:
                            info = probe(path)
                        with work.database.begin() as connection:
                            shard.prove(connection)
                            files.save_probe(connection, file.id, info)
                        shard.audio_seconds += info.duration
                        shard.done += 1
                elif file.duration is not None:
                    shard.audio_seconds += file.duration
                    shard.done += 1


def transcribe_files(work: Work, transcriber_for: TranscriberFor) -> None:
    """Store the transcript of each readable file that has none.

    Raises:
        ConfigurationError: the speech model cannot be had; no file is blamed.
    """
    for shard in list(work.shards):
        with work.on(shard):
            source = _source(shard)
            options = shard.options
            with work.database.begin() as connection:
                manifest = files.of_shard(connection, shard.shard.id)
                known = transcriptions.status_of_shard(connection, shard.shard.id)
            for file in manifest:
                if (
                    file.status == "pending"
                    and file.duration is not None
                    and known.get(file.id, "outdated") == "outdated"
                ):
                    with work.attempt(shard, file):
                        started_at = datetime.now(timezone.utc)
                        with source.local_copy(file.uri) as path:
                            samples = decode(path)
                        transcript = transcriber_for(options).transcribe(
                            samples, language=options.language or None, hotwords=options.hotwords or None
                        )
                        with work.database.begin() as connection:
                            shard.prove(connection)
                            transcriptions.save(
                                connection,
                                file,
                                path=_path(file.uri),
                                transcript=transcript,
                                started_at=started_at,
                            )
                        shard.audio_seconds += transcript.duration
                        shard.done += 1


def find_speakers(work: Work, diarizer_for: DiarizerFor) -> None:
    """Find the speakers of each file that has a transcript, and so complete its stage.

    A transcript is never lost to its speakers: where they cannot be found, it goes on without them and says so.
    """
    for shard in list(work.shards):
        with work.on(shard):
            source = _source(shard)
            options = shard.options
            with work.database.begin() as connection:
                manifest = files.of_shard(connection, shard.shard.id)
                known = transcriptions.status_of_shard(connection, shard.shard.id)
            for file in manifest:
                if file.status != "pending" or known.get(file.id) not in ("transcribed", "completed"):
                    continue
                with work.attempt(shard, file):
                    with work.database.begin() as connection:
                        stored = transcriptions.of_file(connection, file)
                    assert stored is not None  # its status was read above, and nobody else has the lease
                    with source.local_copy(file.uri) as path:
                        samples = decode(path)
                    turns = diarizer_for(options).diarize(
                        samples, min_speakers=options.min_speakers, max_speakers=options.max_speakers
                    )
                    transcript = assign_speakers(stored.transcript, turns)
                    with work.database.begin() as connection:
                        shard.prove(connection)
                        transcriptions.save_speakers(connection, stored, transcript=transcript, turns=turns)
                        files.set_status(connection, file.id, "transcribed")
                    shard.audio_seconds += transcript.duration
                    shard.done += 1


def _source(shard: ShardWork) -> Source:
    return open_source(shard.batch.source_path, shard.batch.file_pattern or DEFAULT_PATTERN)


def _path(uri: str) -> str:
    return uri
