"""The options of one batch, which override the settings. The API, the launchpad, the CLI and the rows use this model."""

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from stt_pipeline.backends import DIARIZERS, SUMMARIZERS, TRANSCRIBERS, choice_of
from stt_pipeline.minutes.meeting_facts import DocumentOptions
from stt_pipeline.settings import Settings
from stt_pipeline.speech.diarization import SpeakerCount
from stt_pipeline.speech.language_codes import LANGUAGE_CODES
from stt_pipeline.speech.recordings import TranscriptionOptions

_MOST_SPEAKERS = 50

MAIL_OPTIONS: Final = ("mail", "mail_again")
"""Options about mails, which commands that send none refuse."""


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    if any(unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn") for char in line):
        raise ValueError("it has characters that cannot be shown: remove them")
    return line


Line = Annotated[str, AfterValidator(_one_line)]
"""Text in one line: line breaks become spaces, and other control characters are refused."""


def _language(code: str) -> str:
    if code and code.lower() not in LANGUAGE_CODES:
        raise ValueError(
            f"{code!r} is not a language code of Whisper: give one such as ko, en or ja, or leave it empty to detect the language"
        )
    return code.lower()


Language = Annotated[Line, AfterValidator(_language)]
"""A language code of Whisper (mostly ISO 639-1), or empty."""


if TYPE_CHECKING:
    Transcriber: TypeAlias = str
    Diarizer: TypeAlias = str
    Summarizer: TypeAlias = str
else:  # empty for the backend of the settings
    Transcriber = choice_of(TRANSCRIBERS, "")
    Diarizer = choice_of(DIARIZERS, "")
    Summarizer = choice_of(SUMMARIZERS, "")


OutputLanguage = Literal["", "ko", "en"]


def _audio_track(value: object) -> str:
    text = str(value)
    if not re.fullmatch(r"auto|all|[1-9][0-9]{0,2}", text, re.ASCII):
        raise ValueError(f"{text!r} is not an audio track: give auto, all or a number from 1 to 999")
    return text


AudioTrack = Annotated[str, BeforeValidator(_audio_track)]
"""``auto``, ``all``, or the number of an audio track from 1."""


def _distinct(codes: list[str]) -> list[str]:
    return list(dict.fromkeys(code for code in codes if code))


class BatchOptions(BaseModel):
    """Overrides of the settings for one batch; an empty option takes the setting."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Line = Field("", max_length=300, description="Speech model, as STT_MODEL.")
    language: Language = Field(
        "", max_length=20, description="Language code of the recordings; empty detects it."
    )
    hotwords: Line = Field(
        "", max_length=2_000, description="Names and terms that are likely in the recordings."
    )
    languages: Annotated[list[Language], AfterValidator(_distinct)] = Field(
        [], max_length=20, description="Languages that detection may choose from; empty allows all."
    )
    multilingual: bool = Field(
        False, description="Detect the language of each speech region instead of one language a recording."
    )
    audio_track: AudioTrack = Field(
        "auto",
        description="Audio track of files with several: auto (the one flagged as default, or the one with sound if that is "
        "silent), all (mixed), or a number from 1.",
    )
    attendees: list[Line] = Field(
        [],
        max_length=200,
        description="Names of the attendees, shown at the head of documents, and hints for the model.",
    )
    terms: dict[str, list[str]] = Field(
        {},
        max_length=500,
        description="Spellings of the transcript, each with the variants that they replace "
        '({"API": ["에이피아이"]}).',
    )
    remove_fillers: bool = Field(False, description='Remove fillers such as "음" and "어" from the text.')
    align: bool = Field(
        False, description="Refine the times of words by forced alignment of whisperx (whisperx extra)."
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
        None, ge=1, le=_MOST_SPEAKERS, description="Minimum number of speakers in each recording."
    )
    max_speakers: int | None = Field(
        None, ge=1, le=_MOST_SPEAKERS, description="Maximum number of speakers in each recording."
    )
    output_language: OutputLanguage = Field(
        "",
        description="Language of the fixed texts in mails and documents: ko or en. "
        "Empty: the language of each recording; for the report, that of most recordings.",
    )
    place: Line = Field(
        "", max_length=200, description="Place of the meetings, shown at the head of documents."
    )
    mail: Literal["auto", "each", "digest", "report"] = Field(
        "auto",
        description="Mails to notify_emails. each: the minutes of each recording, and the report of the batch. digest: one report "
        "that lists the minutes. report: a report without minutes. auto: each in batches of up to nine files, else digest.",
    )
    mail_again: bool = Field(
        False,
        description="Mail the minutes of a recording also to recipients who got those of the same content before, such as "
        "from a copy or an earlier batch.",
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
                f"language {self.language} sets the language of all speech, and multilingual detects it: leave out one"
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
            if not spelling.strip() or not all(variant.strip() for variant in variants):
                raise ValueError(f"the term {spelling!r} or one of its variants is empty")
            for variant in variants:
                other = spellings.setdefault(_normalized(variant), spelling)
                if other != spelling:
                    raise ValueError(
                        f"{variant!r} is a variant of both {other!r} and {spelling!r}: keep one of them"
                    )
        for spelling in self.terms:
            other = spellings.get(_normalized(spelling), spelling)
            if _normalized(other) != _normalized(spelling):
                raise ValueError(
                    f"{spelling!r} is a spelling, and a variant of {other!r}: leave out one of them"
                )
        return self


def _normalized(term: str) -> str:
    """Return a term as it is compared: without spaces and case."""
    return "".join(term.split()).casefold()


def effective_settings(settings: Settings, options: BatchOptions) -> Settings:
    """Return the settings with the overrides of ``options``: the model and the names of the backends."""
    names = ("model", "transcriber", "diarizer", "summarizer")
    return settings.model_copy(update={name: value for name in names if (value := getattr(options, name))})


def transcription_options(options: BatchOptions, *, language: str = "") -> TranscriptionOptions:
    """Return the transcription options of a batch's recordings.

    Args:
        language: used if the batch has no option about languages; empty detects it.
    """
    is_open = options.multilingual or options.languages
    return TranscriptionOptions(
        language=options.language or ("" if is_open else language),
        languages=tuple(options.languages),
        multilingual=options.multilingual,
        hotwords=listed_words(options.hotwords, options.attendees),
        terms=tuple((spelling, tuple(variants)) for spelling, variants in options.terms.items()),
        remove_fillers=options.remove_fillers,
    )


def expected_languages(options: BatchOptions, *, language: str = "") -> tuple[str, ...]:
    """Return the languages that a batch expects its recordings to be in; empty if it expects none.

    Args:
        language: expected if the batch has no option ``language`` or ``languages``; empty for none.
    """
    if options.language:
        return (options.language,)
    return tuple(options.languages) or ((language,) if language else ())


def document_options(options: BatchOptions) -> DocumentOptions:
    """Return the language and facts of the documents of a batch."""
    return DocumentOptions(options.output_language, options.place, tuple(options.attendees))


def speaker_count(options: BatchOptions) -> SpeakerCount:
    """Return the number of speakers that a batch allows in each recording."""
    return SpeakerCount(options.min_speakers or 1, options.max_speakers)


def listed_words(hotwords: str, attendees: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the comma-separated ``hotwords``, then the attendees, each once."""
    words = (word.strip() for word in (*hotwords.split(","), *attendees))
    return tuple(dict.fromkeys(word for word in words if word))
