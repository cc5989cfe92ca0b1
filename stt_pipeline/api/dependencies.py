"""Dependencies of endpoints: what they use of their app, such as the store, the settings and the allowed sources."""

from typing import Annotated, cast

from fastapi import Depends, Request

from stt_pipeline.api.progress_feed import ProgressFeed
from stt_pipeline.api.transcript_reads import TranscriptReads
from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.sqs import QueueAccess
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database


def _store(request: Request) -> Database:
    return cast(Database, request.app.state.database)


def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


def _sources(request: Request) -> AllowedSources:
    return cast(AllowedSources, request.app.state.sources)


def _queues(request: Request) -> QueueAccess:
    return cast(QueueAccess, request.app.state.queues)


def _feed(request: Request) -> ProgressFeed:
    return cast(ProgressFeed, request.app.state.feed)


def _reads(request: Request) -> TranscriptReads:
    return cast(TranscriptReads, request.app.state.reads)


Store = Annotated[Database, Depends(_store)]
Config = Annotated[Settings, Depends(_settings)]
Sources = Annotated[AllowedSources, Depends(_sources)]
"""The places where sources may be; every endpoint that opens a source takes it."""
Queues = Annotated[QueueAccess, Depends(_queues)]
"""The queues that may be read; every endpoint that gets the address of a queue takes it."""
Feed = Annotated[ProgressFeed, Depends(_feed)]
Reads = Annotated[TranscriptReads, Depends(_reads)]
"""Limits memory; every endpoint that reads whole transcripts takes it."""
