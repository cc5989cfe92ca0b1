"""What one batch may set for itself. The same typed model is used by the CLI, the launchpad and the database."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class BatchOptions(BaseModel):
    """Overrides of the settings for one batch; what is empty is taken from the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field("", description="Speech model, as STT_MODEL.")
    language: str = Field("", description="Language code of the recordings; empty detects it.")
    hotwords: str = Field("", description="Names and terms that are likely to be said.")
    diarizer: Literal["", "embedded", "none"] = Field(
        "", description="Who finds the speakers, as STT_DIARIZER."
    )
    min_speakers: int | None = Field(
        None, ge=1, description="At least so many people speak in each recording."
    )
    max_speakers: int | None = Field(
        None, ge=1, description="At most so many people speak in each recording."
    )
    mail_minutes: bool | None = Field(
        None,
        description="Mail the minutes of each recording to notify_emails. "
        "Unset: only where every recording is a shard of its own, that is in batches of up to 1,000 files.",
    )

    @model_validator(mode="after")
    def _bounds(self) -> "BatchOptions":
        if self.min_speakers and self.max_speakers and self.min_speakers > self.max_speakers:
            raise ValueError(
                f"min_speakers {self.min_speakers} is more than max_speakers {self.max_speakers}"
            )
        return self
