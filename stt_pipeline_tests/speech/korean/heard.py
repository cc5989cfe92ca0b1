"""Segments as a model would have written them, for tests of what is corrected in them."""

from stt_pipeline.speech.transcript import Segment, Word


def heard(text: str, start: float = 10.0, pace: float = 0.25, language: str = "ko") -> Segment:
    """Return ``text`` with a word for each eojeol, ``pace`` seconds a character, and a little silence before each."""
    words: list[Word] = []
    at = start
    for eojeol in text.split():
        end = round(at + pace * len(eojeol), 3)
        words.append(Word(at, end, f" {eojeol}", round(0.5 + 0.4 / (len(words) + 1), 3)))
        at = round(end + 0.1, 3)
    return Segment(start, words[-1].end, text, tuple(words), language=language)
