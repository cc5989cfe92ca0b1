"""The transcript as readable lines, for text exports. File formats are not known here."""

from collections.abc import Iterator
from dataclasses import dataclass

from stt_pipeline.durations import clock
from stt_pipeline.speech.transcript import Transcript

_DOUBT = " (?)"


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    """One segment with text: ``time`` as ``[m:ss]``, the speaker's label or "", the text on one line.

    ``start`` and ``end`` are in seconds. ``doubt`` marks a possible hallucination, else it is ""; plain text does not show it.
    """

    time: str
    speaker: str
    text: str
    doubt: str = ""
    start: float = 0.0
    end: float = 0.0

    def __str__(self) -> str:
        speaker = f"{self.speaker}: " if self.speaker else ""
        return f"{self.time} {speaker}{self.text}"


def transcript_lines(transcript: Transcript) -> Iterator[TranscriptLine]:
    """Yield the lines of a transcript in order; segments without text are skipped."""
    for segment in transcript.segments:
        text = " ".join(segment.text.split())
        if text:
            doubt = _DOUBT if segment.hallucination_reasons else ""
            time = f"[{clock(segment.start)}]"
            yield TranscriptLine(time, segment.speaker or "", text, doubt, segment.start, segment.end)
