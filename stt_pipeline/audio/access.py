"""How sources are reached: the S3 client, the download cache, and the quiet period of local files."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stt_pipeline.audio.cache import DownloadCache
from stt_pipeline.audio.s3_client import S3Client, create_client
from stt_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class SourceAccess:
    """How sources are reached.

    Attributes:
        s3: returns the S3 client, always the same one.
        cache: keeps downloaded objects.
        quiet_period_seconds: a local file that changed within this time may still grow and is not listed; 0 lists all.
    """

    s3: S3Client
    cache: DownloadCache
    quiet_period_seconds: float = 0.0

    @classmethod
    def of(cls, settings: Settings, s3: Callable[[], Any] | None = None) -> "SourceAccess":
        """Return the access that the settings describe; ``s3`` makes the client instead."""
        return cls(
            S3Client(s3 or (lambda: create_client(settings))),
            DownloadCache(settings.cache_folder, settings.cache_bytes),
            settings.quiet_period_seconds,
        )

    @classmethod
    def interactive(cls, settings: Settings) -> "SourceAccess":
        """Return the access for a command or an API request, where an error within seconds is better than long retries."""
        return cls.of(settings, lambda: create_client(settings, interactive=True))
