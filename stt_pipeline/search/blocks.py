"""Splits transcripts and minutes into blocks of a few minutes, the units of search.

A block has the offset of each term in its text, and the start and the speaker of each line.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stt_pipeline.minutes.model import Minutes
from stt_pipeline.search.terms import normalized, terms_of
from stt_pipeline.speech.transcript import Segment, Transcript

BLOCK_SECONDS = 180.0
BLOCK_CHARACTERS = 8_000
"""A block ends at the first of both limits. Three minutes of Korean have about 2,000 characters. The limit in characters
keeps positions and size within the limits of a tsvector (16,383 and 1 MB) for any script and rate of speech."""

_LINE_CHARACTERS = 1_000  # a longer segment becomes several lines


@dataclass(frozen=True, slots=True)
class Line:
    """A segment of a transcript, or an entry of the minutes. ``start`` is in seconds, or None without a time."""

    text: str
    start: float | None = None
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive lines that are searched together.

    Attributes:
        number: index of the block, from 0.
        start: start of the first line that has a time, in seconds.
        text: the lines, with a newline between.
        line_starts: start of each line in seconds.
        speakers: speaker of each line, or None if unknown.
        term_starts: offset in ``text`` of the term at each position; positions count from 1, as in Postgres.
        positions: positions of each term.
    """

    number: int
    start: float | None
    text: str
    line_starts: tuple[float | None, ...]
    speakers: tuple[str | None, ...]
    term_starts: tuple[int, ...]
    positions: Mapping[str, tuple[int, ...]]


def transcript_blocks(transcript: Transcript) -> list[Block]:
    """Return the blocks of a transcript; empty if it has no text."""
    return _blocks(line for segment in transcript.segments for line in _lines(segment))


def minutes_blocks(minutes: Minutes) -> list[Block]:
    """Return the minutes as one block, or as several if they are long."""
    entries = (minutes.title, *minutes.summary.splitlines(), *minutes.topics, *minutes.decisions)
    lines = [Line(text) for text in entries]
    lines += [
        Line(" · ".join(filter(None, (item.task, item.owner, item.due))), item.start)
        for item in minutes.action_items
    ]
    if minutes.keywords:
        lines.append(Line(" · ".join(minutes.keywords)))
    return _blocks(piece for line in lines for piece in _pieces(line, line.start))


def _lines(segment: Segment) -> Iterator[Line]:
    return _pieces(Line(segment.text, segment.start, segment.speaker), segment.end)


def _pieces(line: Line, end: float | None) -> Iterator[Line]:
    """Yield the line, split at spaces if it is long; starts of the parts assume a constant rate of speech."""
    text = " ".join(normalized(line.text).split())
    place = 0
    while place < len(text):
        cut = place + _LINE_CHARACTERS
        if cut < len(text):
            space = text.rfind(" ", place + 1, cut)
            cut = space if space > 0 else cut
        start = line.start
        if start is not None and end is not None:
            start += (end - start) * place / len(text)
        yield Line(text[place:cut].strip(), start, line.speaker)
        place = cut


def _blocks(lines: Iterable[Line]) -> list[Block]:
    blocks: list[Block] = []
    current: list[Line] = []
    length = 0
    for line in lines:
        begun = current[0].start if current else None
        is_late = begun is not None and line.start is not None and line.start >= begun + BLOCK_SECONDS
        if current and (is_late or length + len(line.text) + 1 > BLOCK_CHARACTERS):
            blocks.append(_block(len(blocks), current))
            current, length = [], 0
        current.append(line)
        length += len(line.text) + 1
    if current:
        blocks.append(_block(len(blocks), current))
    return blocks


def _block(number: int, lines: Sequence[Line]) -> Block:
    starts: list[int] = []
    positions: dict[str, list[int]] = {}
    offset = 0
    for line in lines:
        # line by line: the analyser is slower on a whole block, with the same result
        found = terms_of(line.text)
        before = len(starts)
        for place, term in enumerate(found.terms, start=before + 1):
            starts.append(offset + term.start)
            positions.setdefault(term.lexeme, []).append(place)
        for compound in found.compounds:
            # at its first and its last position, so that it is adjacent to the terms on both sides
            places = (before + 1 + compound.first, before + 1 + compound.last)
            positions.setdefault(compound.lexeme, []).extend(places)
        offset += len(line.text) + 1
    return Block(
        number=number,
        start=next((line.start for line in lines if line.start is not None), None),
        text="\n".join(line.text for line in lines),
        line_starts=tuple(line.start for line in lines),
        speakers=tuple(line.speaker for line in lines),
        term_starts=tuple(starts),
        positions={lexeme: tuple(places) for lexeme, places in positions.items()},
    )
