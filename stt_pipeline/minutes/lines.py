"""The transcript as readable lines, for text exports. File formats are not known here."""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge

from stt_pipeline.durations import clock
from stt_pipeline.minutes.missing import missing_text
from stt_pipeline.speech.transcript import Transcript

_DOUBT = " (?)"


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    """One segment with text, or a part of the recording with speech but without text.

    ``time`` is ``[m:ss]``, ``speaker`` the label or "", ``text`` on one line; of missing text it is its mark. ``start`` and
    ``end`` are in seconds. ``doubt`` marks a possible hallucination, else it is "".
    """

    time: str
    speaker: str
    text: str
    doubt: str = ""
    start: float = 0.0
    end: float = 0.0
    is_missing: bool = False

    def __str__(self) -> str:
        speaker = f"{self.speaker}: " if self.speaker else ""
        return f"{self.time} {speaker}{self.text}{self.doubt}"


def transcript_lines(transcript: Transcript, language: str) -> Iterator[TranscriptLine]:
    """Yield the lines of a transcript in order of time, with marks in ``language`` where text is missing.

    Segments without text are skipped, and keep their order where they overlap.
    """
    missing = (
        TranscriptLine(
            f"[{clock(part.start)}]",
            "",
            missing_text(part, language),
            "",
            part.start,
            part.end,
            is_missing=True,
        )
        for part in transcript.untranscribed_parts
    )
    return merge(_text_lines(transcript), missing, key=lambda line: line.start)


def _text_lines(transcript: Transcript) -> Iterator[TranscriptLine]:
    for segment in transcript.segments:
        text = " ".join(segment.text.split())
        if text:
            doubt = _DOUBT if segment.hallucination_reasons else ""
            time = f"[{clock(segment.start)}]"
            yield TranscriptLine(time, segment.speaker or "", text, doubt, segment.start, segment.end)
