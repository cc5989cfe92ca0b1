"""How far a batch is: once, or as a stream of server-sent events."""

import asyncio
import time
from collections.abc import AsyncIterable
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent

from stt_pipeline.api.dependencies import Feed, Store
from stt_pipeline.api.paging import Id
from stt_pipeline.api.problems import documented
from stt_pipeline.api.progress_feed import LOOK_SECONDS
from stt_pipeline.batches.queries.progress import Progress, progress
from stt_pipeline.errors import NotFoundError

router = APIRouter(prefix="/stt-batches", tags=["batches"])

_STREAM_SECONDS = 300.0  # then a browser connects again, with a key that may have been revoked meanwhile


@router.get("/{batch_id}/progress", responses=documented(404))
def get_progress(batch_id: Id, store: Store) -> Progress:
    """How far a batch is: `completed + failed + pending = total_files`, always, once its source was scanned."""
    return progress(store, batch_id)


def _at_first(batch_id: Id, store: Store, feed: Feed) -> Progress:
    """Answer what cannot be streamed as any other request, before the stream begins."""
    feed.require_seat()
    return progress(store, batch_id)


@router.get("/{batch_id}/progress/stream", response_class=EventSourceResponse, responses=documented(404))
async def stream_progress(
    batch_id: Id, feed: Feed, first: Annotated[Progress, Depends(_at_first)]
) -> AsyncIterable[ServerSentEvent]:
    """The same figures as server-sent events: `progress` at once and whenever they change, at most one a second.

    `over` carries the last figures of a batch that has ended, `gone` means that it was deleted; both end the stream.
    After five minutes it ends by itself, to be opened again, as browsers do.
    """
    end = time.monotonic() + _STREAM_SECONDS
    figures, shown = first, None
    with feed.seat():
        while time.monotonic() < end:
            if figures.is_over:
                yield ServerSentEvent(event="over", data=figures)
                return
            if (seen := _without_clocks(figures)) != shown:
                yield ServerSentEvent(event="progress", data=figures)
                shown = seen
            await asyncio.sleep(LOOK_SECONDS)
            try:
                figures = await feed.progress(batch_id)
            except NotFoundError:
                yield ServerSentEvent(event="gone", data={"batch_id": batch_id})
                return


def _without_clocks(figures: Progress) -> dict[str, object]:
    """Return the figures that mean news: the dispatcher's clock and the estimate change with every look."""
    clocks = ("dispatcher_last_tick", "estimated_completion", "files_per_minute")
    return {name: value for name, value in asdict(figures).items() if name not in clocks}
