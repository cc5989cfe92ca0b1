"""Queries for the report and the digest of a batch: its minutes, its recordings without speech, and its language."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, func, select

from stt_pipeline.speech.quality import Figures
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.results import emails
from stt_pipeline.store.results.review import FIGURES, figures_of
from stt_pipeline.store.results.transcriptions import belongs_to
from stt_pipeline.store.tables import summaries, transcriptions

MAX_EXAMINED: Final = 1_000
"""Number of files that a digest is made of; it only counts the others of a batch."""

_FILES_PER_QUERY = 25  # for more, Postgres scans the tables
_LANGUAGE_SAMPLE = 1_000  # transcripts


@dataclass(frozen=True, slots=True)
class MinutesOfFile:
    """A successful file with minutes.

    ``notes`` and ``figures`` are those of its transcript. ``is_received``: the recipient got the minutes of the same content
    before.
    """

    audio_file_id: int
    uri: str
    transcription_id: int
    title: str
    summary: str
    has_text: bool
    is_received: bool
    notes: Sequence[str]
    figures: Figures


def minutes_of_batch(
    connection: Connection, batch_id: int, recipient: str, *, again: bool
) -> list[MinutesOfFile]:
    """Return the minutes of the successful ones of the first MAX_EXAMINED files of a batch, in order of file id.

    Args:
        again: a content that the recipient got under another name, or in another batch, counts as not received.
    """
    page = files.page(connection, batch_id, limit=MAX_EXAMINED)
    successful = [file for file in page if file.status == "success"]
    found: list[MinutesOfFile] = []
    in_batch: set[bytes | None] = set()
    for first in range(0, len(successful), _FILES_PER_QUERY):
        some = successful[first : first + _FILES_PER_QUERY]
        written = _written(connection, some)
        mailed = emails.mailed_minutes(connection, [row.summary_id for row in written.values()], recipient)
        contents = {file.content_sha256 for file in some if file.content_sha256 is not None}
        received = set() if again else emails.received_contents(connection, contents, recipient, batch_id)
        for file in some:
            row = written.get(file.id)
            if row is None:
                continue
            is_copy = not again and (file.content_sha256 in received or file.content_sha256 in in_batch)
            found.append(
                MinutesOfFile(
                    audio_file_id=file.id,
                    uri=file.uri,
                    transcription_id=row.id,
                    title=row.title,
                    summary=row.summary_text,
                    has_text=row.has_text,
                    is_received=is_copy or row.summary_id in mailed,
                    notes=row.notes,
                    figures=figures_of(row),
                )
            )
            in_batch |= {file.content_sha256} - {None}
    return found


def _written(connection: Connection, some: Sequence[AudioFile]) -> dict[int, Row[Any]]:
    """Return the minutes of files, without their other parts, by file id."""
    rows = connection.execute(
        select(
            transcriptions.c.audio_file_id,
            transcriptions.c.id,
            (transcriptions.c.transcription_text != "").label("has_text"),
            summaries.c.id.label("summary_id"),
            summaries.c.title,
            summaries.c.summary_text,
            transcriptions.c.notes,
            *FIGURES,
        )
        .join(
            summaries,
            and_(
                summaries.c.transcription_id == transcriptions.c.id,
                summaries.c.transcription_created_at == transcriptions.c.created_at,
            ),
        )
        .where(belongs_to(some))
    )
    return {row.audio_file_id: row for row in rows}


@dataclass(frozen=True, slots=True)
class WithoutSpeech:
    """The recordings of a batch whose transcript is empty: their number, and the addresses of the first."""

    count: int
    uris: Sequence[str]


def without_speech(connection: Connection, batch_id: int, limit: int) -> WithoutSpeech:
    """Count the recordings of a batch without speech, and return the first ``limit`` addresses."""
    empty = and_(
        transcriptions.c.batch_id == batch_id,
        transcriptions.c.transcription_text == "",
        transcriptions.c.status == "completed",
    )
    count = connection.scalar(select(func.count()).select_from(transcriptions).where(empty)) or 0
    if not count:
        return WithoutSpeech(0, ())
    first = (
        select(transcriptions.c.audio_file_path)
        .where(empty)
        .order_by(transcriptions.c.audio_file_id)
        .limit(limit)
    )
    return WithoutSpeech(count, connection.scalars(first).all())


def main_language(connection: Connection, batch_id: int) -> str | None:
    """Return the most frequent language of a batch's transcripts, of the first thousand; None without a transcript."""
    # with batch_id = alone, the planner scans the table until it has found enough rows of the batch
    sample = (
        select(transcriptions.c.batch_id, transcriptions.c.language)
        .where(transcriptions.c.batch_id >= batch_id)
        .order_by(transcriptions.c.batch_id)
        .limit(_LANGUAGE_SAMPLE)
        .subquery("sample")
    )
    found: str | None = connection.scalar(
        select(sample.c.language)
        .where(sample.c.batch_id == batch_id, sample.c.language != "")
        .group_by(sample.c.language)
        .order_by(func.count().desc(), sample.c.language)
        .limit(1)
    )
    return found
