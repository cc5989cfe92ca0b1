"""Every request ends: before its response by a time limit, and afterwards when its key is revoked or its client is gone.

Work in a thread cannot be stopped. It is bounded by limits of its own (queries, listings), and its result is dropped.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stt_pipeline.api.problems import problem
from stt_pipeline.api.shared_polls import SharedPolls
from stt_pipeline.store.access import api_keys
from stt_pipeline.store.database import Database

REQUEST_SECONDS = 60.0  # up to the first byte of the response; the longest work, an estimate, takes about ten
STALL_SECONDS = 60.0  # for a client that accepts no byte
KEY_SECONDS = 1.5  # between two checks of the key of a stream or a download
_PIECE = 1 << 16  # bytes that a client has to accept within STALL_SECONDS
_log = logging.getLogger(__name__)


class RequestLimits:
    """Ends requests that take too long, whose client is gone, or whose key was revoked."""

    def __init__(
        self,
        app: ASGIApp,
        database: Callable[[], Database],
        *,
        request_seconds: float = REQUEST_SECONDS,
        stall_seconds: float = STALL_SECONDS,
        key_seconds: float = KEY_SECONDS,
    ) -> None:
        """Wrap ``app``.

        Args:
            app: the rest of the application; it writes the ``key_id`` of the caller to the state of the request.
            database: returns the store, which has the keys.
            request_seconds: longest time up to the first byte of a response.
            stall_seconds: longest time for a client to accept 64 KiB.
            key_seconds: time between two checks of a key.
        """
        self._app = app
        self._request_seconds = request_seconds
        self._stall_seconds = stall_seconds
        self._keys = SharedPolls[int, bool](lambda key_id: _is_valid(database(), key_id), key_seconds)
        self._abandoned: set[asyncio.Future[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        response = _Response(send, self._stall_seconds)
        work = asyncio.ensure_future(self._app(scope, receive, response.send))
        try:
            reason = await self._wait(work, response, scope)
        finally:
            if not work.done():
                self._abandon(work)
        if not reason:
            await work
            return
        if work.done():
            self._forget(work)
        response.is_closed = True
        _log.warning(
            "%s %s, request %s: %s", scope["method"], scope["path"], _state(scope, "request_id"), reason
        )
        if not response.is_started:
            detail = f"No answer within {self._request_seconds:.0f} s: request less, or try again."
            await problem(Request(scope), 503, detail, headers={"Retry-After": "30"})(scope, receive, send)
        elif response.is_event_stream:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        # a download that breaks off must not look complete: without a last message the server closes the connection

    async def _wait(self, work: "asyncio.Future[None]", response: "_Response", scope: Scope) -> str:
        """Wait for the end of the request; return why it must end before, or an empty text."""
        until = time.monotonic() + self._request_seconds
        while True:
            left = until - time.monotonic()
            seconds = self._keys.poll_seconds if response.is_started else max(0.0, left)
            done, _ = await asyncio.wait({work}, timeout=min(seconds, self._keys.poll_seconds))
            if response.is_stalled:
                return "the client accepts no more bytes"
            if done:
                return ""
            if not response.is_started:
                if left <= 0:
                    return f"no answer within {self._request_seconds:.0f} s"
                continue
            key_id = _state(scope, "key_id")
            if key_id is not None and not await self._keys.get(key_id):
                return "its key was revoked, so its response ends"

    def _abandon(self, work: "asyncio.Future[None]") -> None:
        """Cancel the rest of a request; a thread of it ends by itself."""
        self._abandoned.add(work)  # the event loop holds only weak references
        work.add_done_callback(self._forget)
        work.cancel()

    def _forget(self, work: "asyncio.Future[None]") -> None:
        self._abandoned.discard(work)
        if not work.cancelled():
            work.exception()  # its request was answered already


class _Response:
    """What is sent to the client."""

    def __init__(self, send: Send, stall_seconds: float) -> None:
        self.is_started = self.is_event_stream = self.is_stalled = self.is_closed = False
        self._send = send
        self._stall_seconds = stall_seconds

    async def send(self, message: Message) -> None:
        if self.is_closed:
            return
        if message["type"] == "http.response.start":
            self.is_started = True
            content_type = Headers(raw=message["headers"]).get("Content-Type", "")
            self.is_event_stream = content_type.startswith("text/event-stream")
        try:
            for piece in _pieces(message):
                await asyncio.wait_for(self._send(piece), self._stall_seconds)
        except TimeoutError:
            self.is_stalled = True
            raise


def _pieces(message: Message) -> Iterator[Message]:
    """Yield a message in pieces of 64 KiB, so that a slow client has time for each."""
    body = memoryview(message.get("body", b""))
    if len(body) <= _PIECE:
        yield message
        return
    for start in range(0, len(body), _PIECE):
        is_last = start + _PIECE >= len(body)
        more = message.get("more_body", False) if is_last else True
        yield {"type": message["type"], "body": bytes(body[start : start + _PIECE]), "more_body": more}


def _state(scope: Scope, name: str) -> Any:
    return scope.get("state", {}).get(name)


def _is_valid(database: Database, key_id: int) -> bool:
    with database.begin() as connection:
        return api_keys.is_valid(connection, key_id)
