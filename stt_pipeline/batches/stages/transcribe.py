"""The transcribe stage on the shards of one run: what each file is, what was said in it, and by whom.

Each function is one step; a file that fails in one is recorded there, and left out of the next ones.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import cast

from sqlalchemy import Connection

from stt_pipeline.audio.probe import AudioInfo, probe
from stt_pipeline.audio.sound import Sound, SoundFile
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard, Done
from stt_pipeline.batches.execution.file_loop import for_each_file
from stt_pipeline.batches.execution.prefetch import Ahead
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.batches.execution.transcription_stream import transcribe_each_file
from stt_pipeline.batches.requests.options import BatchOptions, speaker_count, transcription_options
from stt_pipeline.batches.stages.search_index import indexed_transcript
from stt_pipeline.speech.alignment import align
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
from stt_pipeline.store.results import search, transcriptions
from stt_pipeline.store.results.search import Indexed
from stt_pipeline.store.results.transcriptions import NewTranscript, Transcription, TranscriptionStatus

TranscriberFor = Callable[[BatchOptions], Transcriber]
DiarizerFor = Callable[[BatchOptions], Diarizer]

_FETCHED_AT_ONCE = 8  # probing is next to nothing, and waits for the source
_DIARIZED_AT_ONCE = 4  # at most, each on a core of its own

NO_TRANSCRIPT = "It has no transcript yet: transcribe first."


def probe_files(work: ShardClaims) -> None:
    """Find out what each file is that was not looked at yet; what cannot be read is recorded."""

    def probed(shard: ClaimedShard, file: AudioFile) -> AudioInfo:
        with shard.source.open_local(file.uri, file.etag) as path:
            return probe(path)

    def read(
        connection: Connection, shard: ClaimedShard, some: Sequence[AudioFile]
    ) -> Mapping[int, Callable[[], AudioInfo]]:
        return {
            file.id: ahead(probed, shard, file)
            for file in some
            if file.duration is None and file.status != "failed"
        }

    def probe_one(
        shard: ClaimedShard, file: AudioFile, info_of: Callable[[], AudioInfo] | None
    ) -> Done[AudioInfo] | None:
        if file.duration is not None:
            shard.count(file)
        elif info_of is None:
            shard.report(file, file.error or "")
        else:
            info = info_of()
            return Done(file, info, info.duration)
        return None

    def write(connection: Connection, shard: ClaimedShard, done: Sequence[Done[AudioInfo]]) -> None:
        files.save_probes(connection, {one.file.id: one.result for one in done})

    with Ahead(work, _FETCHED_AT_ONCE) as ahead:
        for_each_file(work, probe_one, read=read, write=write)


def transcribe_files(work: ShardClaims, transcriber_for: TranscriberFor, *, language: str = "") -> None:
    """Store the transcript of each probed file that has none.

    Recordings of all shards of the run go through the transcriber together. They are fetched in its threads, and stored
    before anybody looks for speakers.

    Args:
        language: of recordings whose batch says nothing about languages; empty detects it file by file.

    Raises:
        ConfigurationError: the speech model cannot be had; no file is blamed.
    """
    opened_at: dict[int, datetime] = {}

    def read(
        connection: Connection, shard: ClaimedShard, some: Sequence[AudioFile]
    ) -> Mapping[int, TranscriptionStatus]:
        return transcriptions.statuses(connection, some)

    def begin(shard: ClaimedShard, file: AudioFile, status: TranscriptionStatus | None) -> Recording | None:
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
        source = shard.source

        @contextmanager
        def fetched() -> Iterator[Sound]:
            opened_at.setdefault(file.id, datetime.now(timezone.utc))
            with source.open_local(file.uri, file.etag) as path:
                yield SoundFile(path)

        return Recording(
            file.id,
            fetched,
            transcription_options(shard.options, language=language),
            halvings=file.attempts if file.error_class == "out_of_memory" else 0,
        )

    def finish(file: AudioFile, outcome: Outcome) -> Done[NewTranscript]:
        transcript = cast(Transcript, outcome.result)
        return Done(file, NewTranscript(file, transcript, opened_at.pop(file.id)), transcript.duration)

    def write(connection: Connection, shard: ClaimedShard, done: Sequence[Done[NewTranscript]]) -> None:
        transcriptions.save(connection, [one.result for one in done])

    def postprocessing_transcriber(shard: ClaimedShard) -> Transcriber:
        return WithPostprocessing(transcriber_for(shard.options))

    transcribe_each_file(work, postprocessing_transcriber, begin, finish, read=read, write=write)
    give_back_freed_memory()


@dataclass(frozen=True, slots=True)
class _Waiting:
    """The status of a stored transcript, and what waits for its speakers, if they are to be found."""

    status: TranscriptionStatus
    spoken: Callable[[], Transcription] | None


def find_speakers(work: ShardClaims, diarizer_for: DiarizerFor, *, device: str = "auto") -> None:
    """Find the speakers of each file that has a transcript, and so complete its stage.

    Where the batch asks for it, the times of words are refined first. A failure here may cost a file its minutes, but
    never its transcript.

    Args:
        device: where words are aligned, as STT_DEVICE.

    Raises:
        ConfigurationError: the diarizer, or what aligns words, cannot be had; no file is blamed.
    """

    def spoken_by(shard: ClaimedShard, file: AudioFile, stored: Transcription) -> Transcription:
        options = shard.options
        with shard.source.open_local(file.uri, file.etag) as path:
            sound = SoundFile(path)
            turns = diarizer_for(options).diarize(sound, speaker_count(options))
            aligned = align(stored.transcript, sound, device) if options.align else stored.transcript
        return replace(stored, transcript=assign_speakers(aligned, turns), turns=turns)

    def read(
        connection: Connection, shard: ClaimedShard, some: Sequence[AudioFile]
    ) -> Mapping[int, _Waiting]:
        waiting = {file.id: file for file in some if file.status in ("pending", "failed")}
        found = transcriptions.of_files(connection, list(waiting.values()))
        return {
            id: _Waiting(
                stored.status,
                ahead(spoken_by, shard, file, stored)
                if file.status == "pending" and stored.status != "outdated"
                else None,
            )
            for id, file in waiting.items()
            if (stored := found.get(id))
        }

    def find_speakers_of(
        shard: ClaimedShard, file: AudioFile, known: _Waiting | None
    ) -> Done[tuple[Transcription, Indexed]] | None:
        status = known.status if known else None
        if file.status in ("transcribed", "success") or (file.status == "failed" and status == "completed"):
            shard.count(file)
            return None
        if file.status == "failed":
            if status == "transcribed":
                shard.report(file, file.error or "")
            return None
        if known is None or known.spoken is None:
            shard.report(file, NO_TRANSCRIPT)
            return None
        spoken = known.spoken()
        return Done(file, (spoken, indexed_transcript(spoken)), spoken.transcript.duration)

    def write(
        connection: Connection, shard: ClaimedShard, done: Sequence[Done[tuple[Transcription, Indexed]]]
    ) -> None:
        transcriptions.save_speakers(connection, [one.result[0] for one in done])
        search.replace(connection, [one.result[1] for one in done])
        files.set_status(connection, [one.file.id for one in done], "transcribed")

    with Ahead(work, min(_DIARIZED_AT_ONCE, usable_cores())) as ahead:
        for_each_file(work, find_speakers_of, read=read, write=write)
