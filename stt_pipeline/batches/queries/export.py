"""Exports transcripts and minutes: of one recording, or of a whole batch that does not fit into memory.

A batch is read in pages, each in a short transaction, so no transaction is open while a slow client downloads. The formats
are in ``minutes.exports`` and ``parquet.datasets``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from sqlalchemy import Connection

from stt_pipeline.audio.address import display_name
from stt_pipeline.backends import FORMATS, FormatName, choice_of
from stt_pipeline.batches.keys import BatchKey, clean_name
from stt_pipeline.batches.queries.zip_stream import zipped
from stt_pipeline.batches.requests.options import BatchOptions, document_options
from stt_pipeline.errors import ConflictError, NotFoundError
from stt_pipeline.minutes.exports import ExportContent, export_format
from stt_pipeline.minutes.meeting_facts import DocumentOptions
from stt_pipeline.minutes.model import Minutes
from stt_pipeline.minutes.subtitles.options import SUBTITLES, SubtitleOptions
from stt_pipeline.parquet import datasets
from stt_pipeline.parquet.datasets import Dataset
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import batches
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline.store.results import summaries, transcriptions
from stt_pipeline.store.results.summaries import Summary
from stt_pipeline.store.results.transcriptions import Transcription

PARQUET: Final = "parquet"
"""A format of a whole batch only, in addition to the export formats of a recording."""

if TYPE_CHECKING:
    BatchFormat: TypeAlias = str
else:
    BatchFormat = choice_of(FORMATS, PARQUET)


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much of a batch is read at a time.

    Attributes:
        page: rows of the manifest in one transaction.
        files: recordings whose text is in memory.
        seconds: audio of these recordings; an hour with its words takes about 10 MB.
        block_bytes: size of the chunks of a zip; the API switches threads for each chunk.
    """

    page: int = 1_000
    files: int = 50
    seconds: float = 2 * 3600.0
    block_bytes: int = 1 << 16


LIMITS: Final = ReadLimits()


@dataclass(frozen=True, slots=True)
class ExportedRecording:
    """A recording with its transcript and, if there are any, its minutes."""

    file: AudioFile
    stored: Transcription
    minutes: Minutes | None
    options: DocumentOptions

    @property
    def name(self) -> str:
        """Name of the recording, for display."""
        return display_name(self.file.uri)

    @property
    def stem(self) -> str:
        """A file name without extension, unique in the batch: two folders may have recordings of the same name."""
        return f"{self.file.id:08d}-{clean_name(self.name)}"

    @property
    def content(self) -> ExportContent:
        """What an export format writes."""
        return _content(self.name, self.stored, self.minutes, self.options)


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file; its name is safe on every filesystem."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class ExportedBatch:
    """One file whose content is created while ``chunks`` is iterated; the caller closes ``chunks``."""

    name: str
    media_type: str
    chunks: Iterator[bytes]


def minutes_of(database: Database, transcription_id: int) -> tuple[Transcription, Summary]:
    """Return a transcription and its minutes.

    Raises:
        NotFoundError: there is no such transcription, or it has no minutes yet.
    """
    with database.begin() as connection:
        stored = transcriptions.get(connection, transcription_id)
        summary = summaries.of_transcription(connection, stored)
    if summary is None:
        raise NotFoundError(
            f"Transcription {transcription_id} has no minutes yet: they are written in the publish stage of batch "
            f"{stored.batch_id}."
        )
    return stored, summary


def export_transcription(
    database: Database, transcription_id: int, format: FormatName, subtitles: SubtitleOptions = SUBTITLES
) -> ExportedFile:
    """Return one transcription as a file; ``subtitles`` are the options of srt and vtt.

    Raises:
        NotFoundError: there is no such transcription.
        ConflictError: the format holds speaker turns, and diarization has not run yet.
        InvalidRequestError: the format is unknown.
    """
    with database.begin() as connection:
        stored = transcriptions.get(connection, transcription_id)
        summary = summaries.of_transcription(connection, stored)
        options = _options(batches.get(connection, stored.batch_id))
    if not _can_be(format, stored):
        raise ConflictError(
            f"Transcription {transcription_id} has no speaker turns yet, so {format} cannot be written. Try again when "
            "its status is completed."
        )
    name = display_name(stored.audio_file_path)
    content = _content(name, stored, summary.minutes if summary else None, options)
    content = replace(content, subtitles=subtitles)
    written = export_format(format)
    return ExportedFile(f"{clean_name(name)}.{format}", written.media_type, written.write(content))


def export_batch(
    database: Database,
    batch_id: int,
    format: BatchFormat,
    dataset: Dataset = "transcripts",
    *,
    subtitles: SubtitleOptions = SUBTITLES,
    limits: ReadLimits = LIMITS,
) -> ExportedBatch:
    """Return a batch as one file: a zip with a file for each recording, or Parquet with a row for each recording.

    Recordings without a transcript are skipped. If the batch is deleted meanwhile, the iteration of the chunks raises.

    Args:
        format: a name in ``FORMATS``, or :data:`PARQUET`.
        dataset: the dataset of a Parquet export.
        subtitles: the options of srt and vtt.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: the batch has no transcript yet, or is being deleted.
    """
    with database.begin() as connection:
        _require(connection, batch_id)
        if not transcriptions.has_any(connection, batch_id):
            raise ConflictError(
                f"No recording of batch {batch_id} has a transcript yet, so there is nothing to export."
            )
    stem = f"batch-{BatchKey(batch_id)}"
    if format == PARQUET:
        chunks = datasets.stream(dataset, dataset_rows(database, batch_id, dataset, limits))
        return ExportedBatch(f"{stem}-{dataset}.parquet", "application/vnd.apache.parquet", chunks)
    members = (
        (
            f"{recording.stem}.{format}",
            export_format(format).write(replace(recording.content, subtitles=subtitles)),
        )
        for recording in recordings(database, batch_id, limits)
        if _can_be(format, recording.stored)
    )
    chunks = zipped(members, compress=export_format(format).is_text, block_bytes=limits.block_bytes)
    return ExportedBatch(f"{stem}-{format}.zip", "application/zip", chunks)


def recordings(database: Database, batch_id: int, limits: ReadLimits = LIMITS) -> Iterator[ExportedRecording]:
    """Iterate over the recordings of a batch with a transcript, in order of the manifest.

    Raises:
        NotFoundError: there is no such batch any more.
        ConflictError: the batch is being deleted.
    """
    with database.begin() as connection:
        options = _options(_require(connection, batch_id))
    for some in with_transcript(database, batch_id, limits):
        with database.begin() as connection:
            stored = transcriptions.of_files(connection, some)
            minutes = summaries.of_files(connection, some)
        for file in some:
            # a retry may have started meanwhile
            if file.id in stored and stored[file.id].status != "outdated":
                summary = minutes.get(file.id)
                yield ExportedRecording(
                    file, stored.pop(file.id), summary.minutes if summary else None, options
                )


def dataset_rows(
    database: Database, batch_id: int, dataset: Dataset, limits: ReadLimits = LIMITS
) -> Iterator[Sequence[dict[str, object]]]:
    """Iterate over the rows of a batch's dataset in groups; raises as :func:`recordings` does."""
    rows_of = {"transcripts": transcriptions.rows_of_files, "minutes": summaries.rows_of_files}[dataset]
    for some in with_transcript(database, batch_id, limits):
        with database.begin() as connection:
            rows = rows_of(connection, some)
        yield rows


def with_transcript(
    database: Database, batch_id: int, limits: ReadLimits = LIMITS
) -> Iterator[list[AudioFile]]:
    """Yield files with a transcript in groups whose text fits into memory, however long the recordings are.

    Raises:
        NotFoundError: there is no such batch any more.
        ConflictError: the batch is being deleted.
    """
    last = 0
    while True:
        with database.begin() as connection:
            # the export of a batch that is deleted meanwhile must not end as if it were complete
            _require(connection, batch_id)
            page = files.page(connection, batch_id, after=last, limit=limits.page)
            statuses = transcriptions.statuses(connection, page) if page else {}
        if not page:
            return
        some: list[AudioFile] = []
        seconds = 0.0
        for file in page:
            if statuses.get(file.id, "outdated") == "outdated":
                continue
            some.append(file)
            seconds += file.duration or 0.0
            if len(some) == limits.files or seconds >= limits.seconds:
                yield some
                some, seconds = [], 0.0
        if some:
            yield some
        last = page[-1].id


def _require(connection: Connection, batch_id: int) -> Batch:
    batch = batches.get(connection, batch_id)
    if batch.status == "deleting":
        raise ConflictError(f"Batch {batch_id} is being deleted.")
    return batch


def _options(batch: Batch) -> DocumentOptions:
    return document_options(BatchOptions.model_validate(batch.options))


def _content(
    name: str, stored: Transcription, minutes: Minutes | None, options: DocumentOptions
) -> ExportContent:
    return ExportContent(name, stored.transcript, minutes, stored.turns, options)


def _can_be(format: str, stored: Transcription) -> bool:
    """Return whether the format can be written: one of speaker turns only after diarization."""
    return stored.status != "transcribed" or not export_format(format).needs_turns
