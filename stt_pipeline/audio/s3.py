"""A prefix of an S3 bucket as a source. What S3's answers mean is in ``s3_client``, listing in order in ``s3_listing``."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timezone
from pathlib import Path
from typing import Any

from stt_pipeline.audio.cache import Download, DownloadCache
from stt_pipeline.audio.patterns import FilePattern
from stt_pipeline.audio.s3_client import S3Client, answer_of, look_up, s3_errors
from stt_pipeline.audio.s3_listing import Entry, Prefix
from stt_pipeline.audio.sources import SourceObject
from stt_pipeline.audio.uris import bucket_and_key, display_name, s3_uri
from stt_pipeline.errors import DownloadError, InvalidRequestError, SourceUnavailableError

_CHUNK = 1 << 20
# a body that breaks off is asked for again from there, after a random part of so many seconds; so often within a chunk
_BROKEN_AT_MOST = 5
_PAUSE = 1.0


class S3Prefix:
    """The objects of a bucket below a prefix, which is taken for a folder: ``meet`` means keys that begin with ``meet/``.

    Addresses are ``s3://bucket/`` and the key as it is, as other AWS tools write them. A key with a NUL character, which
    no database holds, is shown with U+FFFD in its place; such an object cannot be lent.
    """

    def __init__(self, address: str, pattern: FilePattern, client: S3Client, cache: DownloadCache) -> None:
        """Check that the prefix can be listed, with one request.

        Raises:
            InvalidRequestError: no such bucket, access is denied, or the address is that of an object.
            ConfigurationError: credentials, region or endpoint are wrong.
            SourceUnavailableError: no answer.
        """
        self._bucket, path = bucket_and_key(address)
        folder = path.rstrip("/")
        self._prefix = f"{folder}/" if folder else ""
        self._pattern = pattern
        self._open_client = client
        self._cache = cache
        with s3_errors(self.uri):
            found = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
        if not found.get("Contents") and folder and not path.endswith("/") and self._is_object(folder):
            raise InvalidRequestError(
                f"{address} is an object, not a prefix: give the prefix it is in, and its name as the file pattern."
            )

    @property
    def uri(self) -> str:
        """The prefix's address."""
        return s3_uri(self._bucket, self._prefix).rstrip("/")

    @property
    def in_progress_count(self) -> int:
        """0: an object of a bucket is there as a whole or not at all."""
        return 0

    def list_objects(self, after: str = "", *, wait: bool = False) -> Iterator[SourceObject]:
        """See :meth:`Source.list_objects`; the order is that of the keys' UTF-8.

        Who waits for what is unfinished wants all, so with ``wait`` ranges of keys are listed side by side.
        """
        # as it is: recorders do write U+FFFD. Behind a key with a real NUL, which is listed as U+FFFD, some may be missed
        start = self._key(after) if after else ""
        prefix = Prefix(self._client, self._bucket, self._prefix + self._pattern.literal_start)
        with s3_errors(self.uri):
            if wait:
                for page in prefix.in_order(start, self._meant):
                    yield from page
            else:  # others may well stop early, so no page is fetched ahead
                for entries, _ in prefix.pages(start):
                    yield from self._meant(entries)

    def iter_unordered(self) -> Iterator[SourceObject | None]:
        """See :meth:`Source.iter_unordered`."""
        prefix = Prefix(self._client, self._bucket, self._prefix)
        with s3_errors(self.uri):
            for entries, _ in prefix.pages(""):
                for entry in entries:
                    yield self._described(entry) if self._is_meant(entry["Key"]) else None

    def matches(self, uri: str) -> bool:
        """See :meth:`Source.matches`."""
        bucket, key = bucket_and_key(uri)
        return bucket == self._bucket and self._is_meant(key)

    @contextmanager
    def open_local(self, uri: str, etag: str = "") -> Iterator[Path]:
        """See :meth:`Source.open_local`; the object comes from the cache, or is downloaded into it."""
        key = self._key(uri)
        # clients resolve dots in a path, and would fetch another object
        if not key.startswith(self._prefix) or {".", ".."} & set(key.split("/")):
            raise InvalidRequestError(f"{uri} is not inside the source {self.uri}.")
        with cached_object(self._client, self._cache, uri, etag) as path:
            yield path

    @property
    def _client(self) -> Any:
        return self._open_client()

    def _key(self, uri: str) -> str:
        bucket, key = bucket_and_key(uri)
        if bucket != self._bucket:
            raise InvalidRequestError(f"{uri} is not inside the source {self.uri}.")
        return key

    def _is_object(self, key: str) -> bool:
        from botocore.exceptions import ClientError

        with s3_errors(self.uri):
            try:
                self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError:
                return False  # not there, or not for these credentials: then it is an empty prefix
        return True

    def _meant(self, entries: list[Entry]) -> list[SourceObject]:
        return [self._described(entry) for entry in entries if self._is_meant(entry["Key"])]

    def _is_meant(self, key: str) -> bool:
        # consoles leave an empty object "name/" where somebody made a folder
        return (
            key.startswith(self._prefix)
            and not key.endswith("/")
            and self._pattern.matches(key[len(self._prefix) :])
        )

    def _described(self, entry: Entry) -> SourceObject:
        return SourceObject(
            s3_uri(self._bucket, entry["Key"]),
            entry["Size"],
            entry["ETag"].strip('"'),
            entry["LastModified"].astimezone(timezone.utc),
        )


@contextmanager
def cached_object(client: Any, cache: DownloadCache, uri: str, etag: str) -> Iterator[Path]:
    """Lend the object at ``uri`` through the cache, whatever source it belongs to; an empty etag means its present one.

    Raises:
        DownloadError: it is gone, has changed, may not be read, or cannot be read at the moment.
        ConfigurationError: nothing can be read, as with wrong credentials.
    """
    if not etag:
        with _download_errors(uri):
            etag = look_up(client, uri)["ETag"].strip('"')
    with cache.open(uri, etag, lambda: _download(client, uri, etag)) as path:
        yield path


def _download(client: Any, uri: str, etag: str) -> Download:
    """Begin to download the content that had ``etag``.

    boto3's own downloads of files cannot be held to an etag (``If-Match`` is none of their arguments).
    """
    bucket, key = bucket_and_key(uri)
    name = display_name(uri)

    def asked(**more: str) -> dict[str, Any]:
        with _download_errors(uri):
            answer: dict[str, Any] = client.get_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"', **more)
            return answer

    first = asked()
    size: int = first["ContentLength"]

    def chunks() -> Iterator[bytes]:
        from botocore.exceptions import FlexibleChecksumError, HTTPClientError, IncompleteReadError

        answer, received, broken, broken_at = first, 0, 0, 0
        while True:
            reason: object = "its end is missing"
            try:
                with answer["Body"] as body:
                    for chunk in iter(lambda: body.read(_CHUNK), b""):
                        received += len(chunk)
                        yield chunk
            except (HTTPClientError, IncompleteReadError) as error:
                reason = error
            except FlexibleChecksumError as error:
                raise DownloadError(f"{name} was damaged on its way: {uri} ({error}). Try again.") from error
            if received == size:
                return
            broken = broken + 1 if received - broken_at < _CHUNK else 1
            broken_at = received
            if broken >= _BROKEN_AT_MOST:
                raise DownloadError(
                    f"{name} broke off again and again while it was downloaded ({reason}): {uri}. Check the network and try "
                    "again."
                )
            time.sleep(random.uniform(0, _PAUSE))
            answer = asked(Range=f"bytes={received}-")
            if not str(answer.get("ContentRange", "")).startswith(f"bytes {received}-"):
                raise DownloadError(
                    f"{name} broke off, and its server does not go on from there: {uri}. Try again."
                )

    return Download(size, chunks())


@contextmanager
def _download_errors(uri: str) -> Iterator[None]:
    """As ``s3_errors``, for a single object: what may concern it alone becomes a DownloadError."""
    name = display_name(uri)
    try:
        with s3_errors(uri):
            yield
    except SourceUnavailableError as error:
        raise DownloadError(f"{name} could not be downloaded. {error}") from error
    except InvalidRequestError as error:
        code, status = answer_of(error.__cause__)
        if status == 412:
            raise DownloadError(
                f"{name} has changed since it was listed: {uri}. Take in the source again."
            ) from error
        if status == 404 and code != "NoSuchBucket":
            raise DownloadError(
                f"{name} is no longer in the source: {uri}. Put it back, or take in the source again."
            ) from error
        if code == "InvalidObjectState":
            raise DownloadError(
                f"{name} is archived in S3 (Glacier): {uri}. Restore it there first, then retry it."
            ) from error
        if status == 403:
            raise DownloadError(
                f"{name} may not be read with these credentials: {uri}. It may well be there: give them s3:GetObject (and "
                "s3:ListBucket, without which S3 also answers so for what is not there), and try again."
            ) from error
        raise DownloadError(f"{name} could not be downloaded. {error}") from error
