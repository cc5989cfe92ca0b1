"""The files of a batch to review first: those whose transcripts have the lowest quality."""

from dataclasses import dataclass

from stt_pipeline.audio.address import display_path
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches
from stt_pipeline.store.results import review as stored
from stt_pipeline.store.results.review import FileQuality


@dataclass(frozen=True, slots=True)
class ToReview:
    """A file to review; ``path`` is relative to the batch's source."""

    path: str
    transcript: FileQuality


def review(database: Database, batch_id: int, limit: int) -> list[ToReview]:
    """Return the files of a batch whose transcripts have the lowest quality, the worst first.

    Files without speech have no quality, and are not included.

    Raises:
        NotFoundError: there is no such batch.
    """
    with database.snapshot() as connection:
        source = batches.get(connection, batch_id).source_path
        found = stored.worst(connection, batch_id, limit)
    return [ToReview(display_path(one.uri, source), one) for one in found]
