"""Watches: add, list, show, remove. ``batches/ingest`` polls them and creates batches of the new files."""

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from stt_pipeline.api.access import CurrentActor
from stt_pipeline.api.delivery_check import warnings_for_callers
from stt_pipeline.api.dependencies import Config, Queues, Sources, Store
from stt_pipeline.api.paging import Cursor, Id, Limit, Page, id_of
from stt_pipeline.api.problems import documented
from stt_pipeline.api.request_view import RequestView
from stt_pipeline.batches.requests.batch_request import WatchRequest
from stt_pipeline.batches.requests.create import create_watch
from stt_pipeline.batches.requests.create import remove_watch as delete_watch
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.manifest.watches import Batching

router = APIRouter(prefix="/stt-watches", tags=["watches"])

_LATEST = 20


class WatchView(RequestView):
    """A watch and its state. Times are UTC."""

    queue_url: str = Field(examples=["https://sqs.ap-northeast-2.amazonaws.com/123456789012/recordings"])
    batching: Batching
    since: datetime | None = Field(description="Files changed before are skipped; null accepts all.")
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

    model_config = ConfigDict(from_attributes=True)

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


class CreatedWatchView(WatchView):
    """A new watch."""

    warnings: list[str] = Field(
        description="What may go wrong later, such as a mail server that does not answer at the moment.",
        examples=[[]],
    )


class WatchPage(Page):
    """Watches, the oldest first."""

    items: list[WatchView]


@router.post("", status_code=201)
def add_watch(
    request: WatchRequest,
    store: Store,
    sources: Sources,
    queues: Queues,
    settings: Config,
    actor: CurrentActor,
    response: Response,
) -> CreatedWatchView:
    """Watch a source. It is polled within a minute while the product runs; a queue is not read before."""
    warnings = warnings_for_callers(request.notify_emails, settings)
    watch = create_watch(store, request, allowed=sources, queues=queues, actor=actor)
    response.headers["Location"] = f"/api/v1/admin/stt-watches/{watch.id}"
    return CreatedWatchView(**dict(WatchView.model_validate(watch)), warnings=warnings)


@router.get("")
def list_watches(store: Store, limit: Limit = 50, cursor: Cursor = None) -> WatchPage:
    """List watches, the oldest first."""
    with store.begin() as connection:
        found = watches.page(connection, limit + 1, after=id_of(cursor) or 0)
    page = found[:limit]
    more = str(page[-1].id) if len(found) > limit else None
    return WatchPage(items=[WatchView.model_validate(watch) for watch in page], next_cursor=more)


@router.get("/{watch_id}", responses=documented(404))
def get_watch(watch_id: Id, store: Store) -> WatchDetails:
    """Show a watch, its latest batches, and the dead letters of its queue."""
    with store.snapshot() as connection:
        watch = watches.get(connection, watch_id)
        batch_ids = watches.latest_batches(connection, watch_id, _LATEST)
        letters = watches.latest_dead_letters(connection, watch.queue_url, _LATEST) if watch.queue_url else []
    return WatchDetails(
        **dict(WatchView.model_validate(watch)),
        batches=batch_ids,
        dead_letters=[DeadLetterView.model_validate(letter) for letter in letters],
    )


@router.delete("/{watch_id}", responses=documented(404))
def remove_watch(watch_id: Id, store: Store, actor: CurrentActor) -> WatchView:
    """Remove a watch. Its batches stay; the open one accepts no more files."""
    return WatchView.model_validate(delete_watch(store, watch_id, actor=actor))
