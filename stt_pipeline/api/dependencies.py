"""What endpoints are given: the store and the settings of the app they run in."""

from typing import Annotated, cast

from fastapi import Depends, Request

from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database


def _store(request: Request) -> Database:
    return cast(Database, request.app.state.database)


def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


Store = Annotated[Database, Depends(_store)]
Config = Annotated[Settings, Depends(_settings)]
