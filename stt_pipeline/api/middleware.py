"""What happens to every request before an endpoint sees it: an id, a limit on its body, headers of the answer."""

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stt_pipeline.api.problems import problem

MAX_BODY_BYTES = 64 << 10  # 50 addresses, a pattern and hotwords are a few kilobytes
_LONGEST_NUMBER = 18  # Python refuses to read one of thousands of digits
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


class Envelope:
    """Gives each request an id, which its answer, its log lines and its audit rows carry."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap ``app``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; a caller's own ``X-Request-ID`` is kept if it looks like one."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("X-Request-ID", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers.setdefault("Cache-Control", "no-store")
                for name, value in _SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class BodyLimit:
    """Refuses bodies over :data:`MAX_BODY_BYTES`, by what their header says or while they arrive."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap ``app``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope).get("Content-Length", "0")
        detail = f"A request has at most {MAX_BODY_BYTES >> 10} KiB."
        if not said.isdecimal() or len(said) > _LONGEST_NUMBER or int(said) > MAX_BODY_BYTES:
            await problem(Request(scope), 413, detail)(scope, receive, send)
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413, detail)
            return message

        await self._app(scope, receive_within_limit, send)
