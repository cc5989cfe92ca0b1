"""What users fill in: a source, a batch of it, a watch on it, and a change of a batch.

The API's bodies, the launchpad's config, the command line and the rows all come from these models, so each field has one
description, one limit and one validator.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from stt_pipeline.audio.address import display_name
from stt_pipeline.audio.allowed import MAX_ADDRESS_LENGTH
from stt_pipeline.audio.patterns import MAX_PATTERN_LENGTH
from stt_pipeline.backends import NOTIFIERS, SOURCES
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.batches.requests.recipients import Recipients
from stt_pipeline.store.manifest.watches import Batching
from stt_pipeline.store.queue.batches import Priority

_MAX_NAME = 200  # characters
_MAX_WATCH_NAME = 170  # its batches add a date


def _one_line(text: str) -> str:
    name = " ".join(text.split())
    if text and not (name and name.isprintable()):
        raise ValueError("a name has printable characters: change it, or leave it out")
    return name


Name = Annotated[str, AfterValidator(_one_line)]
"""A name with single spaces. Empty means that none is given; spaces alone are refused."""


class SourceRequest(BaseModel):
    """A source of recordings, and how to process them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source_path: str = Field(
        min_length=1,
        max_length=MAX_ADDRESS_LENGTH,
        description=f"Where the recordings are, under one of STT_ALLOWED_SOURCES. {SOURCES.help()}.",
        examples=["file:///data/meetings/2026-03"],
    )
    file_pattern: str = Field(
        "",
        max_length=MAX_PATTERN_LENGTH,
        description="Globs separated by commas, such as **/*.wav; empty takes every known audio and video ending, at any depth.",
        examples=["**/*.wav,**/*.m4a"],
    )
    options: BatchOptions = Field(BatchOptions(), description="Overrides of the settings.")


class BatchRequest(SourceRequest):
    """A request to process a source."""

    max_name: ClassVar = _MAX_NAME

    name: Name = Field(
        "",
        max_length=_MAX_NAME,
        description="Name of the batch; empty takes the source's name.",
        examples=["Board meetings of March"],
    )
    priority: Priority = Field("normal", description="Batches of higher priority go first.")
    notify_emails: Recipients = Field(
        [],
        description=f"Recipients of the minutes and the batch's report. {NOTIFIERS.help()}.",
    )

    def row(self, uri: str) -> dict[str, Any]:
        """Return the values of a row, with the source's address as it was opened.

        A request without a name is named after its source.
        """
        default = display_name(uri.rstrip("/")) or uri
        return {
            **self.model_dump(exclude={"options"}),
            "options": self.options.model_dump(exclude_defaults=True),
            "source_path": uri,
            "name": self.name or default[: self.max_name],
        }


class WatchRequest(BatchRequest):
    """A request to watch a source: new files become batches with these values."""

    max_name: ClassVar = _MAX_WATCH_NAME

    name: Name = Field(
        "",
        max_length=_MAX_WATCH_NAME,
        description="Name of the watch; its batches add the day. Empty takes the source's name.",
        examples=["Calls"],
    )
    batching: Batching = Field(
        "daily", description="daily: one batch a day. arrival: one batch for each poll."
    )
    queue_url: str = Field(
        "",
        max_length=1000,
        description="The SQS queue that gets the bucket's event notifications; empty has the bucket listed. Of SQS itself, or "
        "of a server in STT_SQS_ENDPOINTS.",
        examples=["https://sqs.ap-northeast-2.amazonaws.com/123456789012/recordings"],
    )
    new_only: bool = Field(False, description="Skip the files that are in the source already.")


class BatchChange(BaseModel):
    """New values for a batch; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"minProperties": 1})

    action: Literal["pause", "resume"] | None = None
    priority: Priority | None = None
    name: Name | None = Field(None, min_length=1, max_length=_MAX_NAME, examples=["Board meetings of March"])
    notify_emails: Recipients | None = None

    @model_validator(mode="after")
    def _is_not_empty(self) -> "BatchChange":
        if not self.model_dump(exclude_none=True):
            raise ValueError("nothing to change: give action, priority, name or notify_emails")
        return self
