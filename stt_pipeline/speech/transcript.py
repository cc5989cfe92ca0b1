"""Transcripts, segments, words and speaker turns: plain data that all layers above use, and their JSON form.

Times are seconds from the start of the file. No model, no file and no database here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Word:
    """One word as Whisper wrote it.

    Attributes:
        probability: between 0 and 1.
        overlap: another speaker talks at the same time.
        low_confidence: the probability is low, so the word needs a review (`confidence`).
        suggestion: a name that may be correct instead (`hotwords`); the text is not changed.
    """

    start: float
    end: float
    text: str
    probability: float
    speaker: str | None = None
    overlap: bool = False
    low_confidence: bool = False
    suggestion: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of speech of one speaker, with Whisper's own quality figures.

    Attributes:
        avg_logprob: mean log-probability of the tokens.
        no_speech_prob: probability that the audio has no speech.
        compression_ratio: bytes of the text divided by the bytes of its compressed form.
        language: in which it was decoded, ISO 639-1.
        hallucination_reasons: why the text may be a hallucination (values of `hallucination.Reason`); empty if it is not
            suspicious.
        raw_text: the model's text, if the text was corrected afterwards; else empty.
        channel: of the recording, from 0, if its channels were transcribed apart; segments of different channels may
            overlap. None if the channels were mixed.
    """

    start: float
    end: float
    text: str
    words: tuple[Word, ...] = ()
    speaker: str | None = None
    avg_logprob: float = 0.0
    no_speech_prob: float = 0.0
    compression_ratio: float = 0.0
    language: str = ""
    hallucination_reasons: tuple[str, ...] = ()
    raw_text: str = ""
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class SpeakerTurn:
    """``speaker`` talks from ``start`` to ``end``. Labels are SPEAKER_00, SPEAKER_01, ... in order of appearance.

    ``channel`` is the speaker's, from 0, if the channels of the recording were transcribed apart.
    """

    start: float
    end: float
    speaker: str
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A part of a recording, in seconds from its start."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """All segments of one recording, in order of time.

    Attributes:
        language_probability: 0 to 1; 1 if the language was given.
        duration: seconds of the recording.
        notes: sentences that a reader of the transcript must see, such as the demo model's limits.
        speech_seconds: seconds of speech, by the VAD; of channels that were transcribed apart the sum, which may be longer
            than the recording.
        untranscribed_speech_seconds: the part of it without text; many such seconds mean that words are missing.
        untranscribed_parts: where that speech is, in order of time.
        quality: 0 to 1 (`confidence.quality`); None without speech, and before post-processing.
        detected_language: the most likely of all languages of the model, whatever was given or allowed; None without
            enough speech, and if the model has one language only.
        detected_language_probability: 0 to 1; None without a detected language.
    """

    language: str
    language_probability: float
    duration: float
    model: str
    segments: tuple[Segment, ...] = ()
    notes: tuple[str, ...] = ()
    speech_seconds: float = 0.0
    untranscribed_speech_seconds: float = 0.0
    untranscribed_parts: tuple[TimeSpan, ...] = ()
    quality: float | None = None
    detected_language: str | None = None
    detected_language_probability: float | None = None

    @property
    def text(self) -> str:
        """The whole text, segments joined by a space."""
        return " ".join(segment.text.strip() for segment in self.segments if segment.text.strip())

    @property
    def speakers(self) -> tuple[str, ...]:
        """Labels of the speakers that have a segment, sorted."""
        return tuple(sorted({segment.speaker for segment in self.segments if segment.speaker}))

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels that have a segment, sorted; empty if the channels of the recording were mixed."""
        return tuple(sorted({one.channel for one in self.segments if one.channel is not None}))

    def with_segments(self, segments: Sequence[Segment]) -> "Transcript":
        """Return the same transcript with other segments."""
        return replace(self, segments=tuple(segments))


def shifted(segment: Segment, by: float) -> Segment:
    """Return ``segment`` and its words ``by`` seconds later."""
    words = tuple(replace(word, start=word.start + by, end=word.end + by) for word in segment.words)
    return replace(segment, start=segment.start + by, end=segment.end + by, words=words)


def segments_to_json(segments: Sequence[Segment]) -> list[dict[str, Any]]:
    """Return segments as JSON-ready dicts; :func:`segments_from_json` is the way back.

    Fields that are rarely set are omitted where they are empty: a batch has hundreds of millions of words.
    """
    # not dataclasses.asdict: it copies everything deeply and takes ten times as long
    return [{**_fields(segment), "words": [_fields(word) for word in segment.words]} for segment in segments]


def segments_from_json(rows: Sequence[Mapping[str, Any]]) -> tuple[Segment, ...]:
    """Return segments from the dicts of :func:`segments_to_json`.

    Keys of older versions get their current names. Unknown keys, of a newer version, are ignored.
    """
    return tuple(_segment(row) for row in rows)


def _segment(row: Mapping[str, Any]) -> Segment:
    values = {**_known(Segment, row)}
    values["words"] = tuple(Word(**_known(Word, word)) for word in row["words"])
    values["hallucination_reasons"] = tuple(values.get("hallucination_reasons", ()))
    return Segment(**values)


def turns_to_json(turns: Sequence[SpeakerTurn]) -> list[dict[str, Any]]:
    """Return speaker turns as JSON-ready dicts; :func:`turns_from_json` is the way back."""
    return [_fields(turn) for turn in turns]


def turns_from_json(rows: Sequence[Mapping[str, Any]]) -> tuple[SpeakerTurn, ...]:
    """Return speaker turns from the dicts of :func:`turns_to_json`."""
    return tuple(SpeakerTurn(**row) for row in rows)


SEGMENT_KEYS_BEFORE_SCHEMA_2 = {"suspect": "hallucination_reasons", "heard": "raw_text"}
"""Old key of a segment: its current name. Rows and files of older versions keep the old keys."""

WORD_KEYS_BEFORE_SCHEMA_2 = {"unsure": "low_confidence"}
"""The same for a word."""


def _known(kind: type[Word] | type[Segment], row: Mapping[str, Any]) -> Mapping[str, Any]:
    fields = kind.__dataclass_fields__
    if row.keys() <= fields.keys():
        return row
    renamed = SEGMENT_KEYS_BEFORE_SCHEMA_2 if kind is Segment else WORD_KEYS_BEFORE_SCHEMA_2
    named = {renamed.get(key, key): value for key, value in row.items()}
    return {key: value for key, value in named.items() if key in fields}


_OMITTED_IF_EMPTY = frozenset(
    {"overlap", "low_confidence", "suggestion", "language", "hallucination_reasons", "raw_text", "channel"}
)


def _fields(row: Word | Segment | SpeakerTurn) -> dict[str, Any]:
    return {
        name: value
        for name in row.__dataclass_fields__
        if (value := getattr(row, name))
        or name not in _OMITTED_IF_EMPTY
        or (value == 0 and name == "channel")
    }
