"""What one batch may set for itself. The same typed model is used by the CLI, the launchpad and the database."""

import unicodedata
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from stt_pipeline.speech.recordings import SpeechOptions

_MOST_SPEAKERS = 50


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    if any(unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn") for char in line):
        raise ValueError("it has characters that cannot be shown")
    return line


Line = Annotated[str, AfterValidator(_one_line)]
"""Text as people type it: line breaks are spaces, and other control characters are refused."""


class BatchOptions(BaseModel):
    """Overrides of the settings for one batch; what is empty is taken from the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Line = Field("", max_length=300, description="Speech model, as STT_MODEL.")
    language: Line = Field(
        "", max_length=20, description="Language code of the recordings; empty detects it."
    )
    hotwords: Line = Field("", max_length=2_000, description="Names and terms that are likely to be said.")
    languages: list[Line] = Field(
        [], max_length=20, description="Languages that detection may choose from; none given allows all."
    )
    multilingual: bool = Field(
        False, description="Detect the language of each stretch of speech, and not one for each recording."
    )
    attendees: list[Line] = Field(
        [], max_length=200, description="Names of people who may speak or be spoken of; shown to the model."
    )
    terms: dict[str, list[str]] = Field(
        {},
        max_length=500,
        description="Spellings that must come out, each with what is heard instead "
        '({"API": ["에이피아이"]}).',
    )
    remove_fillers: bool = Field(False, description='Leave "음", "어" and the like out of the text.')
    align: bool = Field(
        False, description="Refine the times of words by whisperx's forced alignment (whisperx extra)."
    )
    diarizer: Literal["", "auto", "pyannote", "segmentation", "embedded", "channel", "none"] = Field(
        "", description="Who finds the speakers, as STT_DIARIZER."
    )
    min_speakers: int | None = Field(
        None, ge=1, le=_MOST_SPEAKERS, description="At least so many people speak in each recording."
    )
    max_speakers: int | None = Field(
        None, ge=1, le=_MOST_SPEAKERS, description="At most so many people speak in each recording."
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


def speech_options(options: BatchOptions, *, language: str = "") -> SpeechOptions:
    """Return how recordings of a batch are to be heard.

    Args:
        language: of recordings whose batch says nothing about languages; empty detects it.
    """
    is_open = options.multilingual or options.languages
    return SpeechOptions(
        language=options.language or ("" if is_open else language),
        languages=tuple(options.languages),
        multilingual=options.multilingual,
        hotwords=listed_words(options.hotwords, options.attendees),
        terms=tuple((spelling, tuple(heard)) for spelling, heard in options.terms.items()),
        remove_fillers=options.remove_fillers,
    )


def listed_words(hotwords: str, attendees: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what stands between the commas of ``hotwords``, and then the people, each once."""
    words = (word.strip() for word in (*hotwords.split(","), *attendees))
    return tuple(dict.fromkeys(word for word in words if word))
