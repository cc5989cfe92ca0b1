"""What one batch may set for itself. The same typed model is used by the CLI, the launchpad and the database."""

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from stt_pipeline.backends import DIARIZERS, SUMMARIZERS, TRANSCRIBERS, choice_of
from stt_pipeline.settings import Settings
from stt_pipeline.speech.diarization import SpeakerCount
from stt_pipeline.speech.language_codes import LANGUAGE_CODES
from stt_pipeline.speech.recordings import TranscriptionOptions

_MOST_SPEAKERS = 50


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    if any(unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn") for char in line):
        raise ValueError("it has characters that cannot be shown")
    return line


Line = Annotated[str, AfterValidator(_one_line)]
"""Text as people type it: line breaks are spaces, and other control characters are refused."""


def _language(code: str) -> str:
    if code and code.lower() not in LANGUAGE_CODES:
        raise ValueError(
            f"{code!r} is no language code that Whisper knows: give one as in ko, en or ja, or none to have it detected"
        )
    return code.lower()


Language = Annotated[Line, AfterValidator(_language)]
"""A code of Whisper's (ISO 639-1), or nothing."""


if TYPE_CHECKING:
    Transcriber: TypeAlias = str
    Diarizer: TypeAlias = str
    Summarizer: TypeAlias = str
else:  # empty for the backend of the settings
    Transcriber = choice_of(TRANSCRIBERS, "")
    Diarizer = choice_of(DIARIZERS, "")
    Summarizer = choice_of(SUMMARIZERS, "")


def _distinct(codes: list[str]) -> list[str]:
    return list(dict.fromkeys(code for code in codes if code))


class BatchOptions(BaseModel):
    """Overrides of the settings for one batch; what is empty is taken from the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Line = Field("", max_length=300, description="Speech model, as STT_MODEL.")
    language: Language = Field(
        "", max_length=20, description="Language code of the recordings; empty detects it."
    )
    hotwords: Line = Field("", max_length=2_000, description="Names and terms that are likely to be said.")
    languages: Annotated[list[Language], AfterValidator(_distinct)] = Field(
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
    transcriber: Transcriber = Field(
        "", description=f"Transcription backend, overrides STT_TRANSCRIBER. {TRANSCRIBERS.help()}."
    )
    diarizer: Diarizer = Field(
        "", description=f"Diarization backend, overrides STT_DIARIZER. {DIARIZERS.help()}."
    )
    summarizer: Summarizer = Field(
        "", description=f"Backend that writes the minutes, overrides STT_SUMMARIZER. {SUMMARIZERS.help()}."
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

    @model_validator(mode="after")
    def _one_way_to_a_language(self) -> "BatchOptions":
        if self.language and self.multilingual:
            raise ValueError(
                f"language {self.language} is taken for all that is said, and multilingual looks for it anew: leave out one"
            )
        if self.language and self.languages and self.language not in self.languages:
            raise ValueError(
                f"language {self.language} is not among the languages {', '.join(self.languages)}"
            )
        return self

    @model_validator(mode="after")
    def _terms_are_clear(self) -> "BatchOptions":
        spellings: dict[str, str] = {}
        for spelling, variants in self.terms.items():
            if not spelling.strip() or not all(heard.strip() for heard in variants):
                raise ValueError(f"the term {spelling!r} or what is heard instead of it is empty")
            for heard in variants:
                other = spellings.setdefault(_as_compared(heard), spelling)
                if other != spelling:
                    raise ValueError(
                        f"{heard!r} is to come out both as {other!r} and as {spelling!r}: keep one of them"
                    )
        for spelling in self.terms:
            other = spellings.get(_as_compared(spelling), spelling)
            if _as_compared(other) != _as_compared(spelling):
                raise ValueError(
                    f"{spelling!r} must come out, and is to be replaced by {other!r}: leave out one of them"
                )
        return self


def _as_compared(heard: str) -> str:
    """Return what counts when terms are looked for: neither spaces nor capitals do."""
    return "".join(heard.split()).casefold()


def effective_settings(settings: Settings, options: BatchOptions) -> Settings:
    """Return the settings with the overrides of ``options``: the model and the names of the backends."""
    names = ("model", "transcriber", "diarizer", "summarizer")
    return settings.model_copy(update={name: value for name in names if (value := getattr(options, name))})


def transcription_options(options: BatchOptions, *, language: str = "") -> TranscriptionOptions:
    """Return how recordings of a batch are to be heard.

    Args:
        language: of recordings whose batch says nothing about languages; empty detects it.
    """
    is_open = options.multilingual or options.languages
    return TranscriptionOptions(
        language=options.language or ("" if is_open else language),
        languages=tuple(options.languages),
        multilingual=options.multilingual,
        hotwords=listed_words(options.hotwords, options.attendees),
        terms=tuple((spelling, tuple(heard)) for spelling, heard in options.terms.items()),
        remove_fillers=options.remove_fillers,
    )


def speaker_count(options: BatchOptions) -> SpeakerCount:
    """Return how many people there may be in each recording of a batch."""
    return SpeakerCount(options.min_speakers or 1, options.max_speakers)


def listed_words(hotwords: str, attendees: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what stands between the commas of ``hotwords``, and then the people, each once."""
    words = (word.strip() for word in (*hotwords.split(","), *attendees))
    return tuple(dict.fromkeys(word for word in words if word))
