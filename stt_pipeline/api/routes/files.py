"""The files of a batch: lists, failures, files to review, and the export. The queries are in ``batches/queries``."""

import re
from dataclasses import asdict
from typing import Annotated, get_args

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from stt_pipeline.api.dependencies import Reads, Store
from stt_pipeline.api.downloads import FileStream, attachment, documented_files
from stt_pipeline.api.paging import Cursor, Id, Limit, Page
from stt_pipeline.api.problems import documented
from stt_pipeline.api.subtitle_parameters import Subtitles
from stt_pipeline.batches.queries import export, file_lists
from stt_pipeline.batches.queries.export import BatchFormat
from stt_pipeline.batches.queries.file_lists import FileCursor, ListedFile
from stt_pipeline.batches.queries.review import ToReview, review
from stt_pipeline.errors import ErrorClass, InvalidRequestError
from stt_pipeline.parquet.datasets import Dataset
from stt_pipeline.store.manifest.files import FileStatus

router = APIRouter(prefix="/stt-batches/{batch_id}", tags=["files"])

_PLACE = re.compile(rf"([0-9]{{1,9}}|{'|'.join(get_args(ErrorClass))})\.([0-9]{{1,18}})")


class OriginalView(BaseModel):
    """The first file with the same content as another one."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(examples=[12])
    batch_id: int = Field(examples=[3])
    uri: str = Field(examples=["file:///data/meetings/2026-02/board.m4a"])


class FileView(BaseModel):
    """A recording of a batch."""

    id: int = Field(examples=[345])
    uri: str = Field(examples=["file:///data/meetings/2026-03/team%20a/board.m4a"])
    path: str = Field(description="Path inside the source, not URL-encoded.", examples=["team a/board.m4a"])
    size: int = Field(description="Bytes.", examples=[18_400_123])
    status: FileStatus
    attempts: int = Field(description="Failures since it was last started.", examples=[0])
    error_class: str | None = Field(examples=[None])
    error: str | None = Field(description="What is wrong, and what to do.", examples=[None])
    duration: float | None = Field(description="Seconds; null until it is measured.", examples=[3605.2])
    transcription_id: int | None = Field(description="Null without a transcript.", examples=[345])
    repeats: OriginalView | None = Field(
        description="The first file with the same content, in this batch or an earlier one. Null if this is the first.",
        examples=[None],
    )


class FilePage(Page):
    """Files of a batch."""

    items: list[FileView]


class ToReviewView(BaseModel):
    """A transcript to review."""

    transcription_id: int = Field(examples=[345])
    path: str = Field(description="Path inside the source, not URL-encoded.", examples=["team a/board.m4a"])
    uri: str = Field(examples=["file:///data/meetings/2026-03/team%20a/board.m4a"])
    duration: float = Field(description="Seconds.", examples=[3605.2])
    language: str = Field(description="Language of the text.", examples=["ko"])
    detected_language: str | None = Field(
        description="Most likely language of the speech, also where the batch gives the language.",
        examples=["ko"],
    )
    detected_language_probability: float | None = Field(description="0 to 1.", examples=[0.987])
    quality: float = Field(description="0 to 1: the model's confidence in its words.", examples=[0.581])
    speech_seconds: float = Field(description="Seconds of speech.", examples=[41.2])
    untranscribed_speech_seconds: float = Field(description="Seconds of speech without text.", examples=[6.4])
    suspect_segments: int = Field(description="Segments that may be hallucinations.", examples=[1])
    quality_notes: list[str] = Field(
        description="Reasons to review the transcript.", examples=[["low confidence (0.58 of 1)"]]
    )


class ToReviewList(BaseModel):
    """The transcripts of a batch to review first."""

    items: list[ToReviewView]


OfClass = Annotated[
    ErrorClass | None,
    Query(
        description="Only files that failed with this error class. `email`: files whose minutes some recipient did not get; "
        "their status is `success`."
    ),
]


@router.get("/files", responses=documented(404))
def list_files(
    batch_id: Id,
    store: Store,
    status: FileStatus | None = None,
    error_class: OfClass = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> FilePage:
    """List the files of a batch: in the order of the source, failed ones by error class first.

    `error_class` without `status` selects failed files; with a status other than `failed` it is rejected.
    """
    found = file_lists.list_files(
        store, batch_id, limit + 1, status=status, error_class=error_class, after=_place(cursor)
    )
    return _page(found, limit)


@router.get("/failures", responses=documented(404))
def list_failures(
    batch_id: Id, store: Store, error_class: OfClass = None, limit: Limit = 50, cursor: Cursor = None
) -> FilePage:
    """List the files that failed permanently, by error class. `POST .../retry` starts them again."""
    found = file_lists.list_files(
        store, batch_id, limit + 1, status="failed", error_class=error_class, after=_place(cursor)
    )
    return _page(found, limit)


@router.get("/review", responses=documented(404))
def review_batch(batch_id: Id, store: Store, limit: Limit = 50) -> ToReviewList:
    """List the files to review first: those whose transcripts have the lowest quality.

    Files without speech are not in the list.
    """
    return ToReviewList(items=[_to_review(one) for one in review(store, batch_id, limit)])


@router.get(
    "/export",
    response_class=FileStream,
    status_code=200,  # FastAPI cannot read it from the signature of our response class
    responses=documented(404, 409) | documented_files("application/zip", "application/vnd.apache.parquet"),
)
def export_batch(
    batch_id: Id,
    store: Store,
    reads: Reads,
    subtitles: Subtitles,
    format: Annotated[
        BatchFormat,
        Query(description="parquet: one Parquet file; else a zip with one such file for each recording."),
    ],
    dataset: Annotated[Dataset, Query(description="Rows of the Parquet file.")] = "transcripts",
) -> FileStream:
    """Download all transcripts and minutes of a batch; recordings without a transcript are skipped.

    A zip has a file for each recording, named as in `stt export`; Parquet has a row for each, with the columns of
    docs/data.md. The file is written while it is sent, so its size is not limited. If the download stops early, start
    it again. 409: no recording has a transcript yet.
    """
    reads.require_free_download()
    file = export.export_batch(store, batch_id, format, dataset, subtitles=subtitles)
    return FileStream(file.chunks, media_type=file.media_type, headers=attachment(file.name), reads=reads)


def _place(cursor: str | None) -> FileCursor | None:
    if cursor is None:
        return None
    found = _PLACE.fullmatch(cursor)
    if not found:
        raise InvalidRequestError("The cursor is not a next_cursor of this list: omit it for the first page.")
    group, last = found.groups()
    return FileCursor(int(group) if group.isdecimal() else group, int(last))


def _page(found: list[ListedFile], limit: int) -> FilePage:
    page = found[:limit]
    more = f"{page[-1].cursor.group}.{page[-1].cursor.id}" if len(found) > limit else None
    return FilePage(items=[_view(one) for one in page], next_cursor=more)


def _to_review(one: ToReview) -> ToReviewView:
    found = one.transcript
    return ToReviewView(
        transcription_id=found.transcription_id,
        path=one.path,
        uri=found.uri,
        duration=found.duration,
        quality_notes=list(found.figures.quality_notes),
        **asdict(found.figures),
    )


def _view(one: ListedFile) -> FileView:
    file = one.file
    return FileView(
        id=file.id,
        uri=file.uri,
        path=one.path,
        size=file.size,
        status=file.status,
        attempts=file.attempts,
        error_class=file.error_class,
        error=file.error,
        duration=file.duration,
        transcription_id=one.transcription_id,
        repeats=OriginalView.model_validate(one.repeats) if one.repeats else None,
    )
