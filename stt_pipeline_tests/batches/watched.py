"""A bucket in memory, and a watch on it."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

from sqlalchemy import text

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.sources import Source, SourceObject
from stt_pipeline.batches.ingest.objects import IngestConfig, IngestResult, ingest_objects
from stt_pipeline.batches.ingest.poll import PollLimits, PollResult, poll
from stt_pipeline.batches.requests.batch_request import WatchRequest
from stt_pipeline.batches.requests.create import create_watch
from stt_pipeline.batches.requests.validation import validated
from stt_pipeline.errors import DownloadError
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files, watches
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.manifest.watches import Watch
from stt_pipeline_tests.batches.recordings import MAX_BYTES

SEOUL = ZoneInfo("Asia/Seoul")


class Keys:
    """A source of keys, each with an etag, that may change between polls; it has no content."""

    uri = "s3://calls/"
    in_progress_count = 0

    def __init__(self, *keys: str) -> None:
        self.etags: dict[str, str] = {}
        self.modified_at = datetime.now(UTC)
        self.listed = 0
        self.add(*keys)

    def add(self, *keys: str, etag: str = "1") -> None:
        self.etags |= dict.fromkeys(keys, etag)

    def list_objects(self, after: str = "", *, wait: bool = False) -> Iterator[SourceObject]:
        for key in sorted(self.etags):
            if self.uri + key > after:
                self.listed += 1
                yield SourceObject(self.uri + key, 1_000, self.etags[key], self.modified_at)

    def iter_unordered(self) -> Iterator[SourceObject | None]:
        return self.list_objects()

    def matches(self, uri: str) -> bool:
        return uri.endswith(".wav")

    def open_local(self, uri: str, etag: str = "") -> AbstractContextManager[Path]:
        raise DownloadError(f"{uri} was only listed.")


class Watched:
    """A watch on a source, and the partitions that its polls add."""

    def __init__(self, database: Database, source: Source, **request: object) -> None:
        class Allowed:
            def open(self, source_path: str, file_pattern: str = "") -> Source:
                return source

        self.allowed = cast(AllowedSources, Allowed())
        self.database = database
        self.partitions: list[str] = []
        self.config = IngestConfig(self.partitions.extend, MAX_BYTES, 60, SEOUL)
        values = {"source_path": source.uri, "name": "calls"} | request
        self.id = create_watch(database, validated(WatchRequest, values), allowed=self.allowed).id

    @property
    def row(self) -> Watch:
        with self.database.begin() as connection:
            return watches.get(connection, self.id)

    def poll(self, limits: PollLimits | None = None) -> PollResult:
        return poll(self.database, self.row, self.allowed, self.config, limits)

    def ingest(self, objects: Sequence[SourceObject]) -> IngestResult:
        return ingest_objects(self.database, self.row, objects, self.config)

    @property
    def batch_ids(self) -> list[int]:
        with self.database.begin() as connection:
            found = connection.scalars(
                text("SELECT id FROM stt_batches WHERE watch_id = :id ORDER BY id"), {"id": self.id}
            )
            return list(found)

    def files_of(self, batch_id: int) -> list[AudioFile]:
        with self.database.begin() as connection:
            return list(files.of_batch(connection, batch_id))

    @property
    def keys(self) -> list[str]:
        """The keys of all files, in order of batches."""
        return [
            file.uri.removeprefix("s3://calls/")
            for batch_id in self.batch_ids
            for file in self.files_of(batch_id)
        ]
