"""Read single objects of S3: their properties, and their content through the download cache."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

from stt_pipeline.audio.address import Address
from stt_pipeline.audio.aws_errors import S3, aws_errors, error_code
from stt_pipeline.audio.cache import Download, DownloadCache
from stt_pipeline.audio.s3_client import S3Client, head_object
from stt_pipeline.audio.sources import SourceObject
from stt_pipeline.errors import DownloadError, InvalidRequestError, SourceUnavailableError

_CHUNK = 1 << 20
_MAX_BREAKS = 5  # of one body, without a chunk of progress between them


class S3Objects:
    """Any objects of S3, in any bucket. Downloads go through the cache."""

    def __init__(self, client: S3Client, cache: DownloadCache, max_pause_seconds: float = 1.0) -> None:
        """Nothing is requested yet.

        Args:
            max_pause_seconds: a broken download resumes after a random pause of at most this time.
        """
        self.client = client
        self._cache = cache
        self._max_pause_seconds = max_pause_seconds

    def describe(self, address: Address) -> SourceObject:
        """See :meth:`ObjectReader.describe`; one request."""
        uri = str(address)
        with aws_errors(uri, S3):
            found = head_object(self.client(), address.authority, address.key)
        modified_at = found["LastModified"].astimezone(UTC)
        return SourceObject(uri, found["ContentLength"], found["ETag"].strip('"'), modified_at)

    @contextmanager
    def open(self, address: Address, etag: str) -> Iterator[Path]:
        """See :meth:`ObjectReader.open`."""
        if not etag:
            with _download_errors(address):
                found = head_object(self.client(), address.authority, address.key)
            etag = found["ETag"].strip('"')
        with self._cache.open(str(address), etag, lambda: self._download(address, etag)) as path:
            yield path

    def _download(self, address: Address, etag: str) -> Download:
        """Start to download the content that has ``etag``; boto3's own downloads have no ``If-Match``."""
        first = self._get(address, etag)
        size: int = first["ContentLength"]
        return Download(size, self._chunks(address, etag, first, size))

    def _get(self, address: Address, etag: str, **more: str) -> dict[str, Any]:
        with _download_errors(address):
            answer: dict[str, Any] = self.client().get_object(
                Bucket=address.authority, Key=address.key, IfMatch=f'"{etag}"', **more
            )
            return answer

    def _chunks(self, address: Address, etag: str, answer: dict[str, Any], size: int) -> Iterator[bytes]:
        """Yield the body; a broken body is resumed where it broke."""
        from botocore.exceptions import FlexibleChecksumError, HTTPClientError, IncompleteReadError

        received, breaks, broken_at = 0, 0, 0
        while True:
            reason: object = "the end is missing"
            try:
                with answer["Body"] as body:
                    for chunk in iter(lambda: body.read(_CHUNK), b""):
                        received += len(chunk)
                        yield chunk
            except (HTTPClientError, IncompleteReadError) as error:
                reason = error
            except FlexibleChecksumError as error:
                raise DownloadError(
                    f"{address.name} was damaged during the download: {address} ({error}). Try again."
                ) from error
            if received == size:
                return
            breaks = breaks + 1 if received - broken_at < _CHUNK else 1
            broken_at = received
            if breaks >= _MAX_BREAKS:
                raise DownloadError(
                    f"The download of {address.name} broke off repeatedly ({reason}): {address}. Check the network and try "
                    "again."
                )
            time.sleep(random.uniform(0, self._max_pause_seconds))
            answer = self._get(address, etag, Range=f"bytes={received}-")
            if not str(answer.get("ContentRange", "")).startswith(f"bytes {received}-"):
                raise DownloadError(
                    f"The download of {address.name} broke off, and the server cannot resume it: {address}. Try again."
                )


@contextmanager
def _download_errors(address: Address) -> Iterator[None]:
    """As ``aws_errors``, but an error that can concern a single object becomes a DownloadError."""
    try:
        with aws_errors(str(address), S3):
            yield
    except SourceUnavailableError as error:
        raise DownloadError(f"{address.name} could not be downloaded. {error}") from error
    except InvalidRequestError as error:
        raise _object_error(address, error) from error


def _object_error(address: Address, error: InvalidRequestError) -> DownloadError:
    name = address.name
    code, status = error_code(error.__cause__)
    if status == 412:
        return DownloadError(f"{name} has changed since it was listed: {address}. Scan the source again.")
    if status == 404 and code != "NoSuchBucket":
        return DownloadError(
            f"{name} is no longer in the source: {address}. Put it back, or scan the source again."
        )
    if code == "InvalidObjectState":
        return DownloadError(
            f"{name} is archived in S3 (Glacier): {address}. Restore it there first, then retry it."
        )
    if status == 403:
        return DownloadError(
            f"{name} may not be read with these credentials: {address}. It may well be there: give them s3:GetObject (and "
            "s3:ListBucket, without which S3 returns the same error for a missing object), and try again."
        )
    return DownloadError(f"{name} could not be downloaded. {error}")
