"""Segments in the form of a model's output, for tests of their correction."""

from stt_pipeline.speech.transcript import Segment, Word


def segment_of(text: str, start: float = 10.0, pace: float = 0.25, language: str = "ko") -> Segment:
    """Return ``text`` with one word per eojeol, ``pace`` seconds per character, and a short pause before each."""
    words: list[Word] = []
    at = start
    for eojeol in text.split():
        end = round(at + pace * len(eojeol), 3)
        words.append(Word(at, end, f" {eojeol}", round(0.5 + 0.4 / (len(words) + 1), 3)))
        at = round(end + 0.1, 3)
    return Segment(start, words[-1].end, text, tuple(words), language=language)
