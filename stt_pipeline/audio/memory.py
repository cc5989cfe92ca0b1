"""A source in memory: the fake for tests and benchmarks. It is passed in code and is not registered for users."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from stt_pipeline.audio.address import Address
from stt_pipeline.audio.patterns import DEFAULT_PATTERN, FilePattern
from stt_pipeline.audio.sources import SourceObject
from stt_pipeline.errors import DownloadError, InvalidRequestError


class MemorySource:
    """Objects in a dictionary: content by path, with ``/`` between folders.

    Attributes:
        contents: can be changed at any time, which changes the source.
        in_progress_count: can be set.
    """

    def __init__(
        self,
        contents: Mapping[str, bytes],
        file_pattern: str | FilePattern = DEFAULT_PATTERN,
        *,
        address: str = "memory://recordings",
    ) -> None:
        """The source has the address ``address``, and its objects have addresses below it."""
        self.contents = dict(contents)
        self.in_progress_count = 0
        self._address = Address.parse(address).folder
        self._pattern = FilePattern(file_pattern) if isinstance(file_pattern, str) else file_pattern
        self._modified_at = datetime.now(UTC)

    @property
    def uri(self) -> str:
        """See :meth:`Source.uri`."""
        return str(self._address)

    def list_objects(self, after: str = "", *, wait: bool = False) -> Iterator[SourceObject]:
        """See :meth:`Source.list_objects`."""
        start = self._path(after) if after else ""
        for path, content in sorted(self.contents.items()):
            if path > start and self._pattern.matches(path):
                etag = hashlib.sha256(content).hexdigest()
                yield SourceObject(f"{self.uri}/{path}", len(content), etag, self._modified_at)

    def iter_unordered(self) -> Iterator[SourceObject | None]:
        """See :meth:`Source.iter_unordered`."""
        yield from self.list_objects()

    def matches(self, uri: str) -> bool:
        """See :meth:`Source.matches`."""
        return uri.startswith(f"{self.uri}/") and self._pattern.matches(self._path(uri))

    @contextmanager
    def open_local(self, uri: str, etag: str = "") -> Iterator[Path]:
        """See :meth:`Source.open_local`; a temporary file with the object's name."""
        path = self._path(uri)
        content = self.contents.get(path)
        name = Address.parse(uri).name
        if content is None:
            raise DownloadError(
                f"{name} is no longer in the source: {uri}. Put it back, or scan the source again."
            )
        if etag and etag != hashlib.sha256(content).hexdigest():
            raise DownloadError(f"{name} has changed since it was listed: {uri}. Scan the source again.")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_bytes(content)
            yield file

    def _path(self, uri: str) -> str:
        prefix = f"{self.uri}/"
        path = uri.removeprefix(prefix)
        if path == uri or ".." in path.split("/"):
            raise InvalidRequestError(f"{uri} is not inside the source {self.uri}.")
        return path
