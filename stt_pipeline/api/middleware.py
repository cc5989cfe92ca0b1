"""Middleware of every request: request id, body limit, response headers, and the response to unexpected errors."""

import asyncio
import logging
import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stt_pipeline.api.problems import problem

MAX_BODY_BYTES = 64 << 10  # 50 addresses, a pattern and hotwords are a few kilobytes
BODY_SECONDS = 30.0  # for a whole body; a client that sends it byte by byte would hold a connection
_MAX_DIGITS = 18  # int() rejects a text of thousands of digits with an error
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_log = logging.getLogger(__name__)


class RequestIdMiddleware:
    """Gives each request an id for its response, log lines and audit rows, and answers unexpected errors."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap ``app``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; a caller's own ``X-Request-ID`` is kept if it has the right form."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("X-Request-ID", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        is_answered = False

        async def send_with_headers(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers.setdefault("Cache-Control", "no-store")
                for name, value in _SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            _log.exception("%s %s failed, request %s", scope["method"], scope["path"], request_id)
            if is_answered:  # a download that breaks off must not look complete
                raise
            detail = "An unexpected error occurred; the log of the API has the details under this request id."
            await problem(Request(scope), 500, detail)(scope, receive, send_with_headers)


class BodyLimit:
    """Rejects bodies over :data:`MAX_BODY_BYTES`, by ``Content-Length`` or while they arrive, and those that stall."""

    def __init__(self, app: ASGIApp, body_seconds: float = BODY_SECONDS) -> None:
        """Wrap ``app``; ``body_seconds`` is the longest time for a body to arrive."""
        self._app = app
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("Content-Length", "0")
        detail = f"A request has at most {MAX_BODY_BYTES >> 10} KiB."
        if not length.isdecimal() or len(length) > _MAX_DIGITS or int(length) > MAX_BODY_BYTES:
            await problem(Request(scope), 413, detail)(scope, receive, send)
            return
        received, is_complete, is_answered = 0, False, False
        until = asyncio.get_running_loop().time() + self._body_seconds

        async def receive_within_limit() -> Message:
            nonlocal received, is_complete
            if is_complete or is_answered:  # the next message is the end of the connection
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "The body did not arrive.") from None
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413, detail)
            is_complete = not message.get("more_body", False)
            return message

        async def send_and_mark(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        await self._app(scope, receive_within_limit, send_and_mark)
