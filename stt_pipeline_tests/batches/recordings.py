"""Small real recordings and stand-ins for the speech tools, for tests of a batch's life."""

import time
import uuid
import wave
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from stt_pipeline.audio.allowed import ALLOW_ALL, AllowedSources
from stt_pipeline.audio.opening import open_source
from stt_pipeline.audio.sound import Sound, all_samples
from stt_pipeline.audio.sources import Source, SourceObject
from stt_pipeline.batches.execution import file_loop
from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.batches.ingest.scan import ScanResult, scan_batch
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.requests.validation import validated
from stt_pipeline.batches.stages.report import Report, close_batch
from stt_pipeline.errors import ConfigurationError, DownloadError
from stt_pipeline.notify.notifier import Notifier
from stt_pipeline.speech.diarization import ANY_NUMBER, SpeakerCount
from stt_pipeline.speech.recordings import Outcome, Progress, Recording
from stt_pipeline.speech.transcript import Segment, SpeakerTurn, Transcript, Word
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import batches
from stt_pipeline.store.queue.batches import Batch

MAX_BYTES = 1 << 30


def write_tone(path: Path, seconds: float = 1.0) -> Path:
    """Write a mono 16 kHz WAV with a tone, and return its path."""
    samples = 0.2 * np.sin(2 * np.pi * 220 * np.arange(int(16_000 * seconds)) / 16_000)
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


class OneByOne:
    """A transcriber that hears one recording after the other, in the caller's thread."""

    model = "one by one"

    def hear(self, recording: Recording, sound: Sound) -> Transcript:
        raise NotImplementedError

    def transcribe(
        self, recordings: Iterable[Recording], *, progress: Progress | None = None
    ) -> Generator[Outcome, None, None]:
        for recording in recordings:
            started = time.monotonic()
            result: Transcript | Exception
            try:
                with recording.open() as sound:
                    result = self.hear(recording, sound)
            except Exception as error:
                if isinstance(error, ConfigurationError):
                    raise
                result = error
            yield Outcome(recording, result, time.monotonic() - started)


class CountingTranscriber(OneByOne):
    """Says the same for every recording, counts the calls, and raises what it is told to raise."""

    model = "counting"

    def __init__(self, failures: Sequence[Exception] = ()) -> None:
        self.calls = 0
        self.failures = list(failures)

    def hear(self, recording: Recording, sound: Sound) -> Transcript:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        end = len(all_samples(sound)) / 16_000
        words = (Word(0.0, end / 2, " 네,", 0.9), Word(end / 2, end, " 알겠습니다.", 0.9))
        segment = Segment(0.0, end, " 네, 알겠습니다.", words)
        return Transcript(
            recording.options.language or "ko",
            1.0,
            end,
            self.model,
            (segment,),
            speech_seconds=end,
            untranscribed_speech_seconds=end / 4,
            quality=0.9,
        )


class OneSpeaker:
    """Finds one speaker everywhere."""

    name = "one"

    def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        return (SpeakerTurn(0.0, len(all_samples(sound)) / 16_000, "SPEAKER_00"),)


class Bucket:
    """A source that lists so many objects, in order, and holds none of them.

    Attributes:
        at_object: called with the number of each object before it is listed.
    """

    uri = "file:///bucket/"
    in_progress_count = 0

    def __init__(
        self, count: int, *, size: int = 1_000, at_object: Callable[[int], None] = lambda number: None
    ) -> None:
        self._count = count
        self._size = size
        self._at_object = at_object

    def list_objects(self, after: str = "", *, wait: bool = False) -> Iterator[SourceObject]:
        now = datetime.now(UTC)
        for number in range(self._count):
            self._at_object(number)
            uri = f"{self.uri}{number // 1000:04d}/call-{number:07d}.wav"
            yield SourceObject(uri, self._size, f"{number:032x}", now)

    def open_local(self, uri: str, etag: str = "") -> AbstractContextManager[Path]:
        raise DownloadError(f"{uri} was only listed.")


def scan(
    database: Database,
    batch: Batch,
    keys: list[str],
    *,
    max_bytes: int = MAX_BYTES,
    source: Source | None = None,
) -> ScanResult:
    """Scan a batch's source, or another one, in a run of its own; new partitions are appended to ``keys``."""
    opened = open_source if source is None else lambda path, pattern: source
    with claimed_batch(database, batch.id, run_id=str(uuid.uuid4()), token=None, lease_seconds=60) as work:
        return scan_batch(work, add_partitions=keys.extend, max_file_bytes=max_bytes, open_source=opened)


def scanned(
    database: Database,
    folder: Path,
    *,
    files_per_shard: int = 1,
    allowed: AllowedSources = ALLOW_ALL,
    **request: object,
) -> tuple[Batch, ScanResult, list[str]]:
    """Make a batch of ``folder`` and scan it; return batch, result and the keys that became partitions."""
    batch = create_batch(
        database, validated(BatchRequest, {"source_path": str(folder), **request}), allowed=allowed
    )
    with database.begin() as connection:
        batches.set_files_per_shard(connection, batch.id, files_per_shard)
    keys: list[str] = []
    result = scan(database, batch, keys)
    return batch, result, keys


def report(database: Database, batch_id: int, notifier: Notifier, *, max_attempts: int = 0) -> Report:
    """Report a batch in a run of its own."""
    with claimed_batch(database, batch_id, run_id=str(uuid.uuid4()), token=None, lease_seconds=60) as work:
        return close_batch(work, lambda recipient: notifier, max_attempts=max_attempts)


def for_each_file(work: ShardClaims, step: Callable[[ClaimedShard, AudioFile], object]) -> None:
    """Take the files of a run's shards through a step that writes its own results."""

    def run_step(shard: ClaimedShard, file: AudioFile, known: None) -> None:
        step(shard, file)

    file_loop.for_each_file(work, run_step, write=lambda connection, shard, done: None)
