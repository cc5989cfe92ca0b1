"""The progress of a batch: once, or as a stream of server-sent events."""

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
from stt_pipeline.batches.queries.progress import Progress, progress
from stt_pipeline.errors import NotFoundError

router = APIRouter(prefix="/stt-batches", tags=["batches"])


@router.get("/{batch_id}/progress", responses=documented(404))
def get_progress(batch_id: Id, store: Store) -> Progress:
    """The progress of a batch: `completed + failed + pending = total_files`, as soon as its source is scanned."""
    return progress(store, batch_id)


def _first_progress(batch_id: Id, store: Store, feed: Feed) -> Progress:
    """Return the first figures; an error here gets an error response, since the stream has not begun."""
    feed.require_free_stream()
    return progress(store, batch_id)


@router.get("/{batch_id}/progress/stream", response_class=EventSourceResponse, responses=documented(404))
async def stream_progress(
    batch_id: Id, feed: Feed, first: Annotated[Progress, Depends(_first_progress)]
) -> AsyncIterable[ServerSentEvent]:
    """The progress as server-sent events: `progress` at the start and after each change, at most one per second.

    `over` has the last figures of a batch that has ended, `gone` means that it was deleted; both end the stream.
    The stream also ends after five minutes, and browsers then open it again; and within seconds when its key is revoked.
    """
    end = time.monotonic() + feed.stream_seconds
    figures, sent = first, None
    with feed.stream():
        while time.monotonic() < end:
            if figures.is_over:
                yield ServerSentEvent(event="over", data=figures)
                return
            if (stable := _without_clocks(figures)) != sent:
                yield ServerSentEvent(event="progress", data=figures)
                sent = stable
            await asyncio.sleep(feed.poll_seconds)
            try:
                figures = await feed.progress(batch_id)
            except NotFoundError:
                yield ServerSentEvent(event="gone", data={"batch_id": batch_id})
                return


def _without_clocks(figures: Progress) -> dict[str, object]:
    """Return the figures whose change is an event; the last tick and the estimates change with every poll."""
    clocks = ("dispatcher_last_tick", "estimated_completion", "transcribed_per_minute", "files_per_minute")
    return {name: value for name, value in asdict(figures).items() if name not in clocks}
