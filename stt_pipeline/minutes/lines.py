"""What was said, line by line, as exports for people show it. No format of a file is known here."""

from collections.abc import Iterator
from dataclasses import dataclass

from stt_pipeline.durations import clock
from stt_pipeline.speech.transcript import Transcript

_DOUBT = " (?)"


@dataclass(frozen=True, slots=True)
class Line:
    """One segment that says something: ``time`` as ``[m:ss]``, the speaker's label or nothing, the words on one line.

    ``doubt`` is a mark for a segment that may never have been said, else nothing; plain text goes without it.
    """

    time: str
    speaker: str
    text: str
    doubt: str = ""

    def __str__(self) -> str:
        speaker = f"{self.speaker}: " if self.speaker else ""
        return f"{self.time} {speaker}{self.text}"


def spoken_lines(transcript: Transcript) -> Iterator[Line]:
    """Iterate over what was said, in order."""
    for segment in transcript.segments:
        text = " ".join(segment.text.split())
        if text:
            doubt = _DOUBT if segment.hallucination_reasons else ""
            yield Line(f"[{clock(segment.start)}]", segment.speaker or "", text, doubt)
