"""A page for a browser: the minutes and transcripts of some recordings in one HTML file, which loads nothing else.

The template is `templates/page.html.j2`, with its style and its script in files of their own.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from stt_pipeline.durations import clock
from stt_pipeline.minutes.exports import ExportContent
from stt_pipeline.minutes.labels import labels
from stt_pipeline.minutes.lines import TranscriptLine, transcript_lines
from stt_pipeline.minutes.model import Minutes

_COLOURS: Final = 8
"""Speakers' colours in the style; more speakers share them."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the transcript, and its place on the timeline in percent of the recording."""

    line: TranscriptLine
    colour: int
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class _Article:
    """One recording as the template takes it."""

    name: str
    title: str
    language: str
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str]
    minutes: Minutes | None
    lines: Sequence[_Line]
    audio: str
    word: dict[str, str]


def html_page(recordings: Sequence[ExportContent], *, title: str = "") -> bytes:
    """Return a page with these recordings, in this order.

    A recording with ``audio`` gets a player, and its times become buttons that play from there. The audio is part of the
    page, so a page of many hours is large: an hour takes about 20 MB.

    Args:
        recordings: at least one.
        title: of the page; without one, that of the first recording.
    """
    articles = [_article(recording) for recording in recordings]
    style, script = (_templates().get_template(name).render() for name in ("page.css", "page.js"))
    page = _templates().get_template("page.html.j2")
    return page.render(
        title=title or articles[0].title,
        language=articles[0].language,
        articles=articles,
        style=Markup(style),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        clock=clock,
    ).encode()


def _article(recording: ExportContent) -> _Article:
    document = recording.document()
    transcript = document.transcript
    speakers = list(transcript.speakers)
    duration = max(transcript.duration, 0.001)

    def placed(line: TranscriptLine) -> _Line:
        return _Line(
            line,
            speakers.index(line.speaker) % _COLOURS if line.speaker in speakers else _COLOURS,
            round(min(100 * line.start / duration, 100), 3),
            round(min(100 * (line.end - line.start) / duration, 100), 3),
        )

    return _Article(
        name=recording.name,
        title=document.title,
        language=document.language,
        facts=document.facts,
        notes=document.notes,
        minutes=document.minutes,
        lines=[placed(line) for line in transcript_lines(transcript, document.language)],
        audio=base64.b64encode(recording.audio()).decode() if recording.audio else "",
        word=labels(document.language),
    )


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("stt_pipeline.minutes"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
