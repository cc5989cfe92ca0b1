"""Batches: create, list, show, change, retry, cancel, delete. The rules are in ``batches/``; see also ``progress``."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from stt_pipeline.api.access import CurrentActor
from stt_pipeline.api.delivery_check import warnings_for_callers
from stt_pipeline.api.dependencies import Config, Sources, Store
from stt_pipeline.api.paging import TEXT, Cursor, Id, Limit, Page, id_of
from stt_pipeline.api.problems import documented
from stt_pipeline.api.request_view import RequestView
from stt_pipeline.batches.queries.progress import Overview, overview, overview_of, overviews
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.batches.requests import retry as retries
from stt_pipeline.batches.requests.batch_request import BatchChange, BatchRequest
from stt_pipeline.batches.requests.create import create_batch as write_batch
from stt_pipeline.errors import ErrorClass
from stt_pipeline.store.queue.batches import Filter, Priority, Status

router = APIRouter(prefix="/stt-batches", tags=["batches"])


def _written_out(value: object) -> object:
    """Reject seconds since 1970, which pydantic also accepts."""
    if not (isinstance(value, str) and "T" in value.upper()):
        raise ValueError("use a date and time with its zone, such as 2026-03-01T00:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out), Field(examples=["2026-03-01T00:00:00Z"])]


class BatchView(RequestView):
    """A batch: its request and its state. Times are UTC."""

    status: Status
    status_text: str = Field(
        description="The status for people; it says how many files of a completed batch failed.",
        examples=["completed, 2 of 3 files failed"],
    )
    scanned_at: datetime | None
    completed_at: datetime | None
    total_files: int | None = Field(description="Null until the source is scanned.", examples=[1250])
    completed: int = Field(examples=[800])
    failed: int = Field(examples=[3])
    pending: int = Field(examples=[447])
    progress_percentage: float = Field(examples=[64.24])
    error: str | None = Field(description="Why the batch waits or failed.", examples=[None])
    watch_id: int | None = Field(
        description="The watch that created the batch; it may be removed.", examples=[None]
    )
    open_until: datetime | None = Field(
        description="Until then the batch of a watch accepts new files; it does not end before."
    )


class CreatedBatchView(BatchView):
    """A new batch."""

    warnings: list[str] = Field(
        description="What may go wrong later, such as a mail server that does not answer at the moment.",
        examples=[[]],
    )


class BatchPage(Page):
    """Batches, the newest first."""

    items: list[BatchView]


class Retry(BaseModel):
    """The failed files to start again."""

    model_config = ConfigDict(extra="forbid")

    error_class: ErrorClass | None = Field(None, description="Only files that failed with it; null for all.")


class RetryOrder(BaseModel):
    """The files that a retry starts."""

    id: int = Field(examples=[12])
    status: Status
    failed_files: int = Field(
        description="Failed files of the batch, or of the error class. They start again shard by shard, except those that are "
        "still over the size limit.",
        examples=[3],
    )


@router.post("", status_code=201, responses=documented(409))
def create_batch(
    request: BatchRequest,
    store: Store,
    sources: Sources,
    settings: Config,
    actor: CurrentActor,
    response: Response,
) -> CreatedBatchView:
    """Create a batch. Its source is scanned within seconds while the product runs; until then `total_files` is null."""
    warnings = warnings_for_callers(request.notify_emails, settings)
    batch = write_batch(store, request, allowed=sources, actor=actor)
    response.headers["Location"] = f"/api/v1/admin/stt-batches/{batch.id}"
    view = BatchView.model_validate(Overview.of(batch))
    return CreatedBatchView(**dict(view), warnings=warnings)


@router.get("")
def list_batches(
    store: Store,
    status: Status | None = None,
    priority: Priority | None = None,
    created_by: Annotated[str | None, Query(max_length=300, pattern=TEXT, description="Exact match.")] = None,
    created_from: Annotated[Moment | None, Query(description="Created at this time or later.")] = None,
    created_before: Annotated[Moment | None, Query(description="Created before this time.")] = None,
    name: Annotated[
        str | None,
        Query(min_length=1, max_length=200, pattern=TEXT, description="Text that the name contains."),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> BatchPage:
    """List batches and their progress, the newest first."""
    filters = Filter(status, priority, created_by, created_from, created_before, name)
    found = overviews(store, limit + 1, before=id_of(cursor), filters=filters)
    page = found[:limit]
    more = str(page[-1].id) if len(found) > limit else None
    return BatchPage(items=[BatchView.model_validate(one) for one in page], next_cursor=more)


@router.get("/{batch_id}", responses=documented(404))
def get_batch(batch_id: Id, store: Store) -> BatchView:
    """Show one batch."""
    return BatchView.model_validate(overview(store, batch_id))


@router.put("/{batch_id}", responses=documented(404, 409))
def change_batch(batch_id: Id, change: BatchChange, store: Store, actor: CurrentActor) -> BatchView:
    """Pause or resume a batch, or change its priority, name or recipients: all changes, or none.

    A paused batch finishes its active files. A new priority applies to runs that are started later.
    """
    batch = lifecycle.change(store, batch_id, change, actor=actor)
    return BatchView.model_validate(overview_of(store, batch))


@router.delete("/{batch_id}", status_code=202, responses=documented(404, 409))
def delete_batch(batch_id: Id, store: Store, actor: CurrentActor) -> BatchView:
    """Delete an ended batch: rows, transcripts, minutes, Parquet, partitions and runs; never the recordings.

    Its status is `deleting` until all of it is deleted; after that the batch does not exist.
    """
    return BatchView.model_validate(overview_of(store, lifecycle.delete(store, batch_id, actor=actor)))


@router.post("/{batch_id}/retry", status_code=202, responses=documented(404, 409))
def retry_batch(batch_id: Id, store: Store, actor: CurrentActor, retry: Retry | None = None) -> RetryOrder:
    """Start the failed files of a batch again, all or those of one error class; an existing transcript is used."""
    error_class = retry.error_class if retry else None
    batch, failed = retries.request_retry(store, batch_id, error_class=error_class, actor=actor)
    return RetryOrder(id=batch.id, status=batch.status, failed_files=failed)


@router.post("/{batch_id}/cancel", responses=documented(404, 409))
def cancel_batch(batch_id: Id, store: Store, actor: CurrentActor) -> BatchView:
    """Cancel a batch permanently: its runs are terminated, and finished files keep their results."""
    return BatchView.model_validate(overview_of(store, lifecycle.cancel(store, batch_id, actor=actor)))
