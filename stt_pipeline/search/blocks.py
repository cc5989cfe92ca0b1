"""Transcripts and minutes, cut into the blocks of a few minutes in which search looks for words.

A block knows where in its text each term is, and when and by whom each of its lines was said.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stt_pipeline.minutes.model import Minutes
from stt_pipeline.search.terms import normalized, terms_of
from stt_pipeline.speech.transcript import Segment, Transcript

BLOCK_SECONDS = 180.0
BLOCK_CHARACTERS = 8_000
"""A block ends at whichever comes first. Three minutes of Korean are some 2,000 characters; the bound in characters keeps
positions below the 16,383 and vectors below the 1 MB of a tsvector, whatever is said how fast in which script."""

_LINE_CHARACTERS = 1_000  # segments are a few words; one that is longer becomes several lines


@dataclass(frozen=True, slots=True)
class Line:
    """A segment of a transcript, or an entry of the minutes. ``start`` is in seconds, or None where it has no time."""

    text: str
    start: float | None = None
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of lines as it is searched.

    Attributes:
        number: place among the blocks, from 0.
        start: of the first line that has a time, in seconds.
        text: one line after the other, with a newline between.
        line_starts: when each line begins, in seconds.
        speakers: who says each line, where that is known.
        term_starts: where in ``text`` the term of each position is; positions count from 1, as Postgres does.
        positions: where each term is.
    """

    number: int
    start: float | None
    text: str
    line_starts: tuple[float | None, ...]
    speakers: tuple[str | None, ...]
    term_starts: tuple[int, ...]
    positions: Mapping[str, tuple[int, ...]]


def transcript_blocks(transcript: Transcript) -> list[Block]:
    """Return the blocks of a transcript; none where nothing was said."""
    return _blocks(line for segment in transcript.segments for line in _lines(segment))


def minutes_blocks(minutes: Minutes) -> list[Block]:
    """Return the minutes as a block, or as several if they are very long."""
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
    """Yield the line, cut at spaces if it is very long; its parts begin when they would in speech of even speed."""
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
        # a line at a time: the analyser takes longer for a whole block, and sees no more in it
        found = terms_of(line.text)
        before = len(starts)
        for place, term in enumerate(found.terms, start=before + 1):
            starts.append(offset + term.start)
            positions.setdefault(term.lexeme, []).append(place)
        for compound in found.compounds:
            # at both of its ends, so that it follows what is before it, and is followed by what is after it
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
