"""The transcripts to review: those of the lowest quality of a batch, and those of a shard that a check names."""

from collections.abc import Collection, Iterable
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


@dataclass(frozen=True, slots=True)
class Doubt:
    """A transcript that a person should compare with its recording, and why; ``path`` is that of :class:`ToReview`."""

    path: str
    reason: str


def transcripts_of_shard(database: Database, shard_id: int, source: str) -> list[ToReview]:
    """Return all transcripts of a shard, in order of file id; ``source`` is that of its batch."""
    with database.begin() as connection:
        found = stored.of_shard(connection, shard_id)
    return [ToReview(display_path(one.uri, source), one) for one in found]


def low_quality(transcripts: Iterable[ToReview]) -> list[Doubt]:
    """Return the transcripts of low confidence or with segments that may be hallucinated, the lowest quality first."""

    def quality(one: ToReview) -> float:
        rated = one.transcript.figures.quality
        return 1.0 if rated is None else rated

    return _doubts(
        (one.path, (*one.transcript.figures.confidence_notes, *one.transcript.figures.hallucination_notes))
        for one in sorted(transcripts, key=quality)
    )


def untranscribed(transcripts: Iterable[ToReview]) -> list[Doubt]:
    """Return the transcripts that leave out much of the speech, those that leave out most seconds first."""
    ordered = sorted(transcripts, key=lambda one: -one.transcript.figures.untranscribed_speech_seconds)
    return _doubts((one.path, one.transcript.figures.missing_text_notes) for one in ordered)


def in_other_languages(transcripts: Iterable[ToReview], expected: Collection[str]) -> list[Doubt]:
    """Return the transcripts of which the text or the speech is in another language than one of ``expected``."""
    return _doubts((one.path, one.transcript.figures.language_notes(expected)) for one in transcripts)


def _doubts(noted: Iterable[tuple[str, tuple[str, ...]]]) -> list[Doubt]:
    return [Doubt(path, ", ".join(notes)) for path, notes in noted if notes]
