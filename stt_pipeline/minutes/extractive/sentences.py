"""Splits a transcript into sentences, each with its speaker and start time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from stt_pipeline.speech import korean
from stt_pipeline.speech.korean import Morpheme
from stt_pipeline.speech.transcript import Segment, Transcript

# a longer pause of the same speaker always ends a sentence
MAX_PAUSE_SECONDS = 2.0

_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+|(?<=[。！？])")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence as spoken. ``start`` is in seconds; ``morphemes`` is empty unless the sentence is Korean."""

    text: str
    start: float
    speaker: str | None = None
    morphemes: tuple[Morpheme, ...] = field(default=(), repr=False)

    @property
    def is_korean(self) -> bool:
        """Whether the sentence was analyzed as Korean."""
        return bool(self.morphemes)


def sentences_of(transcript: Transcript) -> list[Sentence]:
    """Return the sentences of ``transcript`` in order of time.

    A sentence may run over several segments of one speaker, and a segment may hold several sentences.
    """
    return [sentence for run in _speaker_runs(transcript.segments) for sentence in _split(run)]


def _speaker_runs(segments: tuple[Segment, ...]) -> Iterator[list[Segment]]:
    run: list[Segment] = []
    for segment in segments:
        if not segment.text.strip():
            continue
        same = run and run[-1].speaker == segment.speaker and segment.start - run[-1].end <= MAX_PAUSE_SECONDS
        if run and not same:
            yield run
            run = []
        run.append(segment)
    if run:
        yield run


def _split(run: list[Segment]) -> Iterator[Sentence]:
    text = ""
    starts: list[tuple[int, float]] = []  # (offset in text, seconds), one per word with a known time
    for segment in run:
        piece = " ".join(segment.text.split())
        offset = len(text) + (1 if text else 0)
        text = f"{text} {piece}" if text else piece
        starts += [(offset + position, seconds) for position, seconds in _clock_marks(segment, piece)]
    for first, last in _spans(text):
        body = text[first:last].strip()
        if not body:
            continue
        start = max((mark for mark in starts if mark[0] <= first), default=starts[0])[1]
        parts = korean.morphemes(body) if korean.has_hangul(body) else ()
        yield Sentence(body, start, run[0].speaker, parts)


def _clock_marks(segment: Segment, piece: str) -> Iterator[tuple[int, float]]:
    """Yield the offset and start time of each word; without word times, they are interpolated by characters."""
    yield 0, segment.start
    position = 0
    for word in segment.words:
        found = piece.find(word.text.strip(), position)
        if word.text.strip() and found >= 0:
            yield found, word.start
            position = found + len(word.text.strip())
    if not segment.words and piece:
        pace = (segment.end - segment.start) / len(piece)
        for match in re.finditer(r"\S+", piece):
            yield match.start(), round(segment.start + match.start() * pace, 2)


def _spans(text: str) -> list[tuple[int, int]]:
    if korean.has_hangul(text):
        return korean.split_sentences(text)
    cuts = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    return list(pairwise(cuts))
