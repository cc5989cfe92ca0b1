"""Transcripts from lines of text, for tests of minutes."""

from collections.abc import Iterable

from stt_pipeline.speech.transcript import Segment, Transcript

SPEAKERS = {"A": "SPEAKER_00", "B": "SPEAKER_01", "C": "SPEAKER_02"}


def conversation(lines: Iterable[str], language: str = "ko") -> Transcript:
    """Return a transcript of lines "A: text", 4 s each, with one second of silence between them."""
    segments = []
    for number, line in enumerate(lines):
        speaker, _, words = line.partition(": ")
        start = number * 5.0
        segments.append(Segment(start, start + 4.0, words, speaker=SPEAKERS[speaker]))
    return Transcript(language, 1.0, len(segments) * 5.0, "test", tuple(segments))
