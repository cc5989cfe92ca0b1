"""What was said, when, and by whom: the dataclasses that all rooms above pass around.

Times are seconds from the start of the file. Nothing here knows a model, a file or a database.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Word:
    """One word as Whisper wrote it. ``probability`` is between 0 and 1.

    ``overlap``: somebody else talks at the same time. ``low_confidence``: the word is worth a second look (`confidence`).
    ``suggestion``: a name that may have been said instead (`hotwords`); a person decides.
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
    """A stretch of speech of one speaker, with the figures that Whisper gives to judge it.

    Attributes:
        language: in which it was heard, ISO 639-1.
        suspect: why it may never have been said (the names of `guard`'s signs); empty where nothing speaks against it.
        raw_text: what the model wrote, where the text was corrected afterwards; else empty.
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


@dataclass(frozen=True, slots=True)
class SpeakerTurn:
    """``speaker`` talks from ``start`` to ``end``. Labels are SPEAKER_00, SPEAKER_01, ... in order of appearance."""

    start: float
    end: float
    speaker: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """All segments of one recording, in order of time. ``duration`` is the recording's length in seconds.

    Attributes:
        notes: sentences that a reader of the transcript must see, such as the demo model's limits.
        speech_seconds: how long somebody talks, by the voice activity detector.
        untranscribed_speech_seconds: the part of it for which there is no text; much of it means that words are missing.
        quality: 0 to 1, how far the text can be trusted (`confidence`); None without speech.
    """

    language: str
    language_probability: float
    duration: float
    model: str
    segments: tuple[Segment, ...] = ()
    notes: tuple[str, ...] = ()
    speech_seconds: float = 0.0
    untranscribed_speech_seconds: float = 0.0
    quality: float | None = None

    @property
    def text(self) -> str:
        """The whole text, segments joined by a space."""
        return " ".join(segment.text.strip() for segment in self.segments if segment.text.strip())

    @property
    def speakers(self) -> tuple[str, ...]:
        """Labels of the speakers that have a segment, sorted."""
        return tuple(sorted({segment.speaker for segment in self.segments if segment.speaker}))

    def with_segments(self, segments: Sequence[Segment]) -> "Transcript":
        """Return the same transcript with other segments."""
        return replace(self, segments=tuple(segments))


def shifted(segment: Segment, by: float) -> Segment:
    """Return ``segment`` and its words ``by`` seconds later."""
    words = tuple(replace(word, start=word.start + by, end=word.end + by) for word in segment.words)
    return replace(segment, start=segment.start + by, end=segment.end + by, words=words)


def segments_to_json(segments: Sequence[Segment]) -> list[dict[str, Any]]:
    """Return segments as JSON-ready dicts; :func:`segments_from_json` is the way back.

    What is rarely set is left out where it is not: a batch has hundreds of millions of words.
    """
    # not asdict, which copies everything deeply and takes ten times as long
    return [{**_fields(segment), "words": [_fields(word) for word in segment.words]} for segment in segments]


def segments_from_json(rows: Sequence[Mapping[str, Any]]) -> tuple[Segment, ...]:
    """Rebuild segments from the dicts of :func:`segments_to_json`.

    Keys of older versions get their present names. Unknown keys, of a newer version, are ignored.
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
    """Rebuild speaker turns from what :func:`turns_to_json` made."""
    return tuple(SpeakerTurn(**row) for row in rows)


SEGMENT_KEYS_BEFORE_SCHEMA_2 = {"suspect": "hallucination_reasons", "heard": "raw_text"}
"""Old key of a segment: its present name. Rows and files that older versions wrote keep the old keys."""

WORD_KEYS_BEFORE_SCHEMA_2 = {"unsure": "low_confidence"}
"""The same for a word."""


def _known(kind: type[Word] | type[Segment], row: Mapping[str, Any]) -> Mapping[str, Any]:
    fields = kind.__dataclass_fields__
    if row.keys() <= fields.keys():
        return row
    renamed = SEGMENT_KEYS_BEFORE_SCHEMA_2 if kind is Segment else WORD_KEYS_BEFORE_SCHEMA_2
    named = {renamed.get(key, key): value for key, value in row.items()}
    return {key: value for key, value in named.items() if key in fields}


_RARE = frozenset(
    {"overlap", "low_confidence", "suggestion", "language", "hallucination_reasons", "raw_text"}
)


def _fields(row: Word | Segment | SpeakerTurn) -> dict[str, Any]:
    return {
        name: value for name in row.__dataclass_fields__ if (value := getattr(row, name)) or name not in _RARE
    }
