"""The interface of an export format, and the function that writes a recording in the format of a given name.

The formats are in `stt_pipeline.minutes.formats`. Nothing here writes a file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from stt_pipeline.backends import FORMATS
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.minutes.meeting_facts import NO_OPTIONS, DocumentOptions, meeting_facts
from stt_pipeline.minutes.missing import review_notes
from stt_pipeline.minutes.model import Minutes
from stt_pipeline.minutes.notes import translated_note
from stt_pipeline.minutes.speaker_names import minutes_with_speaker_names, speaker_name, with_speaker_names
from stt_pipeline.minutes.subtitles.options import SUBTITLES, SubtitleOptions
from stt_pipeline.speech.transcript import SpeakerTurn, Transcript


@dataclass(frozen=True, slots=True)
class ExportContent:
    """The data of one recording that a format can write.

    Attributes:
        name: file name of the recording, such as ``board-meeting.mp3``.
        transcript: may be empty.
        minutes: None where there are none yet.
        turns: speaker turns, in order of time.
        options: language and facts that the recording does not have.
        audio: returns the recording as MP3, for formats that play it; None where the recording is not at hand.
        subtitles: how formats of subtitles cut the text.
    """

    name: str
    transcript: Transcript
    minutes: Minutes | None = None
    turns: Sequence[SpeakerTurn] = ()
    options: DocumentOptions = NO_OPTIONS
    audio: Callable[[], bytes] | None = None
    subtitles: SubtitleOptions = SUBTITLES

    def document(self) -> "Document":
        """Return the content as readers see it, in the document's language."""
        language = self.options.language or self.transcript.language
        transcript = with_speaker_names(self.transcript, language)
        minutes = self.minutes and minutes_with_speaker_names(self.minutes, language)
        return Document(
            title=minutes.title if minutes else self.name,
            language=language,
            facts=meeting_facts(
                self.name,
                transcript.duration,
                [speaker_name(label, language) for label in self.transcript.speakers],
                self.options,
                language=language,
            ),
            notes=[
                *(translated_note(note, language) for note in transcript.notes),
                *review_notes(transcript, language),
            ],
            transcript=transcript,
            minutes=minutes,
        )


@dataclass(frozen=True, slots=True)
class Document:
    """A recording for readers: speakers have names, and all fixed texts are in one language.

    Attributes:
        facts: (label, value) of the head: when, where, who, which recording.
        notes: sentences that a reader must see: those of the transcript, and what is missing or doubtful.
    """

    title: str
    language: str
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str]
    transcript: Transcript
    minutes: Minutes | None


class ExportFormat(Protocol):
    """Writes one recording as the bytes of a file. Must accept an empty transcript and any text.

    Attributes:
        media_type: as in HTTP's ``Content-Type``, without parameters.
        is_text: the bytes are UTF-8 text.
        has_minutes: the file holds the minutes, where there are any.
        needs_turns: the file holds speaker turns, so it cannot be written before diarization.
    """

    media_type: str
    is_text: bool
    has_minutes: bool
    needs_turns: bool

    def write(self, content: ExportContent) -> bytes:
        """Return the bytes of the file."""
        ...


def export_format(name: str) -> ExportFormat:
    """Return the export format of that name.

    Raises:
        InvalidRequestError: the name is unknown.
    """
    if name not in FORMATS:
        raise InvalidRequestError(f"Unknown export format {name!r}. Choose one of: {', '.join(FORMATS)}.")
    format: ExportFormat = FORMATS.create(name, None)
    return format


def export(
    format: str,
    *,
    name: str,
    transcript: Transcript,
    minutes: Minutes | None = None,
    turns: Sequence[SpeakerTurn] = (),
    options: DocumentOptions = NO_OPTIONS,
    subtitles: SubtitleOptions = SUBTITLES,
) -> bytes:
    """Return one recording as the bytes of a file.

    Args:
        format: a name in ``FORMATS``.
        name: file name of the recording; most formats show it at the top.
        transcript: may be empty.
        minutes: written by formats with ``has_minutes``.
        turns: written by formats with ``needs_turns``.
        options: language and facts of documents for readers.
        subtitles: how formats of subtitles cut the text.

    Raises:
        InvalidRequestError: the format is unknown.
    """
    content = ExportContent(name, transcript, minutes, turns, options, subtitles=subtitles)
    return export_format(format).write(content)
