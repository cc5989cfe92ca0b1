"""File responses: headers with the file name, OpenAPI descriptions, and streams that end when the client disconnects."""

import re
from collections.abc import Generator, Iterator
from typing import Any
from urllib.parse import quote

from anyascii import anyascii
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from stt_pipeline.api.transcript_reads import TranscriptReads

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9.-]+")
_MAX_ASCII_NAME = 150  # a character becomes up to ten, and file systems allow 255 bytes


def attachment(name: str) -> dict[str, str]:
    """Return the headers of a download with the file name ``name`` (RFC 6266).

    Browsers read the name in UTF-8. ``curl -OJ`` reads only the name in ASCII, so that is a transliteration: 회의록.docx
    becomes HoeUiLog.docx.
    """
    utf8 = quote(name, safe="")
    return {"Content-Disposition": f"attachment; filename=\"{_in_ascii(name)}\"; filename*=UTF-8''{utf8}"}


def _in_ascii(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    plain = _NOT_PLAIN.sub("_", anyascii(stem)).strip("_.-")[:_MAX_ASCII_NAME] or "file"
    return f"{plain}{dot}{_NOT_PLAIN.sub('_', anyascii(extension))}"


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

    def __init__(
        self, chunks: Iterator[bytes], *, media_type: str, headers: dict[str, str], reads: TranscriptReads
    ) -> None:
        """Send ``chunks``; ``reads`` counts the download."""
        super().__init__(chunks, media_type=media_type, headers=headers)
        self._reads = reads
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        with self._reads.download():
            try:
                await super().__call__(scope, receive, send)
            finally:
                if isinstance(self._chunks, Generator):
                    self._chunks.close()
