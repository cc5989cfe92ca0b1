"""File responses: headers with the file name, OpenAPI descriptions, and streams that end when the client disconnects."""

import re
from collections.abc import Generator, Iterator
from typing import Any
from urllib.parse import quote

from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

_NOT_ASCII = re.compile(r"[^A-Za-z0-9._-]")


def attachment(name: str) -> dict[str, str]:
    """Return the headers of a download with the file name ``name``, in ASCII for old clients (RFC 6266, RFC 5987)."""
    plain = _NOT_ASCII.sub("_", name)
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    }


def documented_files(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of an endpoint that returns files of these media types with status 200."""
    content = {
        media_type: {"schema": {} if media_type.endswith("json") else {"type": "string", "format": "binary"}}
        for media_type in dict.fromkeys(media_types)
    }
    return {200: {"description": "The file, as an attachment.", "content": content}}


class FileResponse(Response):
    """A file in one piece; :func:`documented_files` describes its media types in OpenAPI."""

    media_type = None


class FileStream(StreamingResponse):
    """A file that is written while it is sent; its resources are closed when the client disconnects."""

    media_type = None

    def __init__(self, chunks: Iterator[bytes], *, media_type: str, headers: dict[str, str]) -> None:
        """Send ``chunks``."""
        super().__init__(chunks, media_type=media_type, headers=headers)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if isinstance(self._chunks, Generator):
                self._chunks.close()
