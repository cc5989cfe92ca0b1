"""The request of a batch or a watch as the API shows it; both views have these fields."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.store.queue.batches import Priority


def _unvalidated(options: BatchOptions | Mapping[str, Any]) -> BatchOptions:
    """Return options of a row: the limits may have been others when it was written."""
    return options if isinstance(options, BatchOptions) else BatchOptions.model_construct(**options)


class RequestView(BaseModel):
    """A request, with its author and time. Times are UTC."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(examples=[12])
    name: str = Field(examples=["Board meetings of March"])
    source_path: str = Field(examples=["s3://recordings/2026-03"])
    file_pattern: str = Field(examples=["**/*.wav,**/*.m4a"])
    priority: Priority
    notify_emails: list[str] = Field(examples=[["kim@example.com"]])
    options: Annotated[BatchOptions, BeforeValidator(_unvalidated)]
    created_by: str = Field(examples=["operations (API key 3)"])
    created_at: datetime
