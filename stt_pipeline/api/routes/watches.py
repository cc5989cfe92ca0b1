"""Watches: add, list, show, remove. ``batches/ingest`` polls them and creates batches of the new files."""

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from stt_pipeline.api.access import CurrentActor
from stt_pipeline.api.dependencies import Queues, Sources, Store
from stt_pipeline.api.paging import Cursor, Id, Limit, Page, id_of
from stt_pipeline.api.problems import documented
from stt_pipeline.api.routes.batches import Emails
from stt_pipeline.audio.allowed import MAX_ADDRESS_LENGTH
from stt_pipeline.audio.patterns import MAX_PATTERN_LENGTH
from stt_pipeline.batches.ingest import poll
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.manifest.watches import Batching, Watch
from stt_pipeline.store.queue.batches import Priority

router = APIRouter(prefix="/stt-watches", tags=["watches"])

_LATEST = 20


class NewWatch(BaseModel):
    """A source to be watched, and what its batches get."""

    model_config = ConfigDict(extra="forbid")

    source_path: str = Field(
        min_length=1,
        max_length=MAX_ADDRESS_LENGTH,
        description="A bucket's prefix, or a folder; under one of STT_ALLOWED_SOURCES.",
        examples=["s3://recordings/calls"],
    )
    file_pattern: str = Field(
        "",
        max_length=MAX_PATTERN_LENGTH,
        description="Globs separated by commas; empty takes every known audio and video ending, at any depth.",
        examples=["**/*.wav,**/*.m4a"],
    )
    name: str = Field(
        "",
        max_length=170,
        description="Its batches are called by it and the day; empty takes the source's name.",
        examples=["Calls"],
    )
    batching: Batching = Field("daily", description="One batch a day, or one for what each look finds.")
    queue_url: str = Field(
        "",
        max_length=1000,
        description="The SQS queue that gets the bucket's event notifications; empty has the bucket listed. Of SQS itself, or "
        "of a server in STT_SQS_ENDPOINTS.",
        examples=["https://sqs.ap-northeast-2.amazonaws.com/123456789012/recordings"],
    )
    priority: Priority = Field("normal", description="Batches of higher priority go first.")
    notify_emails: Emails = []
    options: BatchOptions = BatchOptions()
    new_only: bool = Field(False, description="Leave alone what is there already.")


class WatchView(BaseModel):
    """A watch and its state. Times are UTC."""

    id: int = Field(examples=[3])
    name: str = Field(examples=["Calls"])
    source_path: str = Field(examples=["s3://recordings/calls"])
    file_pattern: str = Field(examples=["**/*.wav,**/*.m4a"])
    queue_url: str = Field(examples=["https://sqs.ap-northeast-2.amazonaws.com/123456789012/recordings"])
    batching: Batching
    priority: Priority
    notify_emails: list[str] = Field(examples=[["kim@example.com"]])
    options: BatchOptions
    since: datetime | None = Field(description="Files changed before are skipped; null accepts all.")
    created_by: str = Field(examples=["operations (API key 3)"])
    created_at: datetime
    looked_at: datetime | None = Field(description="Last poll of the source or the queue.")
    found_at: datetime | None = Field(description="Last poll that found new files.")
    swept_at: datetime | None = Field(
        description="End of the last full scan of the source; null for a watch with a queue."
    )
    files: int = Field(description="Files that were added to batches.", examples=[1250])
    error: str | None = Field(description="Error of the last poll.", examples=[None])


class DeadLetterView(BaseModel):
    """A message that was removed from the queue because it is invalid.

    The body is not in the response: it is untrusted input of whatever can send to the queue.
    """

    id: int = Field(examples=[7])
    message_id: str = Field(examples=["5fea7756-0ea4-451a-a703-a558b933e274"])
    at: datetime
    error: str = Field(examples=["The message is not JSON: Expecting value: line 1 column 1 (char 0)."])


class WatchDetails(WatchView):
    """A watch with its latest batches and dead letters, the newest first, at most 20 of each."""

    batches: list[int] = Field(examples=[[14, 12]])
    dead_letters: list[DeadLetterView] = Field(
        description="Dead letters of its queue, which other watches may share."
    )


class WatchPage(Page):
    """Watches, the oldest first."""

    items: list[WatchView]


@router.post("", status_code=201)
def add_watch(
    new: NewWatch, store: Store, sources: Sources, queues: Queues, actor: CurrentActor, response: Response
) -> WatchView:
    """Watch a source. Its first look is within a minute, if the product runs; a queue is not asked before."""
    watch = poll.add_watch(
        store,
        source_path=new.source_path,
        file_pattern=new.file_pattern,
        name=new.name,
        batching=new.batching,
        queue_url=new.queue_url,
        priority=new.priority,
        notify_emails=new.notify_emails,
        options=new.options,
        new_only=new.new_only,
        allowed=sources,
        queues=queues,
        actor=actor,
    )
    response.headers["Location"] = f"/api/v1/admin/stt-watches/{watch.id}"
    return _view(watch)


@router.get("")
def list_watches(store: Store, limit: Limit = 50, cursor: Cursor = None) -> WatchPage:
    """List watches, the oldest first."""
    with store.begin() as connection:
        found = watches.page(connection, limit + 1, after=id_of(cursor) or 0)
    page = found[:limit]
    more = str(page[-1].id) if len(found) > limit else None
    return WatchPage(items=[_view(watch) for watch in page], next_cursor=more)


@router.get("/{watch_id}", responses=documented(404))
def get_watch(watch_id: Id, store: Store) -> WatchDetails:
    """Show a watch, its latest batches, and the dead letters of its queue."""
    with store.snapshot() as connection:
        watch = watches.get(connection, watch_id)
        batch_ids = watches.latest_batches(connection, watch_id, _LATEST)
        letters = watches.latest_dead_letters(connection, watch.queue_url, _LATEST) if watch.queue_url else []
    return WatchDetails(
        **dict(_view(watch)),
        batches=batch_ids,
        dead_letters=[
            DeadLetterView(id=letter.id, message_id=letter.message_id, at=letter.at, error=letter.error)
            for letter in letters
        ],
    )


@router.delete("/{watch_id}", responses=documented(404))
def remove_watch(watch_id: Id, store: Store, actor: CurrentActor) -> WatchView:
    """Remove a watch. Its batches stay; the open one accepts no more files."""
    return _view(poll.remove_watch(store, watch_id, actor=actor))


def _view(watch: Watch) -> WatchView:
    return WatchView(
        id=watch.id,
        name=watch.name,
        source_path=watch.source_path,
        file_pattern=watch.file_pattern,
        queue_url=watch.queue_url,
        batching=watch.batching,
        priority=watch.priority,
        notify_emails=list(watch.notify_emails),
        # not checked again: the limits may have been others when it was added
        options=BatchOptions.model_construct(**watch.options),
        since=watch.since,
        created_by=watch.created_by,
        created_at=watch.created_at,
        looked_at=watch.looked_at,
        found_at=watch.found_at,
        swept_at=watch.swept_at,
        files=watch.files,
        error=watch.error,
    )
