"""Transcript and minutes as files for people and programs: txt, srt, vtt, json, md. Returns text; writes no file.

docx is not here yet; a format is one function in `EXPORT_FORMATS`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Final

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.minutes.labels import labels
from stt_pipeline.minutes.model import Minutes, minutes_to_json
from stt_pipeline.minutes.subtitles import to_srt, to_vtt
from stt_pipeline.minutes.timecode import clock
from stt_pipeline.speech.transcript import Transcript, segments_to_json

Export = Callable[[str, Transcript, Minutes | None], str]

JSON_SCHEMA_VERSION: Final = 1


def export(format: str, *, name: str, transcript: Transcript, minutes: Minutes | None = None) -> str:
    """Return ``transcript``, and ``minutes`` where the format has room for them, as the text of a file.

    Args:
        format: a key of :data:`EXPORT_FORMATS`; txt, srt and vtt hold the transcript only.
        name: what the recording is called, shown at the top (``board-meeting.mp3``).
        transcript: may be empty.
        minutes: left out where there are none yet.

    Raises:
        InvalidRequestError: the format is not known.
    """
    try:
        write = EXPORT_FORMATS[format]
    except KeyError:
        known = ", ".join(EXPORT_FORMATS)
        raise InvalidRequestError(f"There is no export format {format!r}. Choose one of: {known}.") from None
    return write(name, transcript, minutes)


def to_txt(name: str, transcript: Transcript, minutes: Minutes | None = None) -> str:
    """Return the name, the notes, and a line ``[m:ss] SPEAKER_00: text`` a segment."""
    head = [name, *(f"* {note}" for note in transcript.notes), ""]
    return "\n".join([*head, *_spoken_lines(transcript)]) + "\n"


def to_json(name: str, transcript: Transcript, minutes: Minutes | None = None) -> str:
    """Return one JSON object, times in seconds from the start of the recording.

    ``schema`` (1), ``file``, ``language``, ``language_probability``, ``duration``, ``model``, ``notes`` (list of text),
    ``speakers`` (list of labels), ``segments`` (list of ``start, end, text, speaker, words, avg_logprob, no_speech_prob,
    compression_ratio``, a word being ``start, end, text, probability, speaker``), and ``minutes``: null, or ``title,
    summary, topics, decisions, action_items (task, owner, due, start), keywords, model, tokens_used``.
    """
    page = {
        "schema": JSON_SCHEMA_VERSION,
        "file": name,
        "language": transcript.language,
        "language_probability": transcript.language_probability,
        "duration": transcript.duration,
        "model": transcript.model,
        "notes": list(transcript.notes),
        "speakers": list(transcript.speakers),
        "segments": segments_to_json(transcript.segments),
        "minutes": minutes_to_json(minutes) if minutes else None,
    }
    return json.dumps(page, ensure_ascii=False, indent=2) + "\n"


def to_md(name: str, transcript: Transcript, minutes: Minutes | None = None) -> str:
    """Return a page in Markdown: the minutes, if there are any, then the transcript."""
    word = labels(transcript.language)
    speakers = ", ".join(transcript.speakers) or word["none"]
    page = [
        f"# {_md(minutes.title if minutes else name)}",
        f"- {word['recording']}: {_md(name)}\n"
        f"- {word['length']}: {clock(transcript.duration)}\n"
        f"- {word['speakers']}: {_md(speakers)}",
        *(f"> {_md(note)}" for note in transcript.notes),
    ]
    if minutes:
        page += _minutes_sections(minutes, word)
    lines = [f"- {_md(line)}" for line in _spoken_lines(transcript)]
    page += [f"## {word['transcript']}", "\n".join(lines) or word["none"]]
    return "\n\n".join(page) + "\n"


def _minutes_sections(minutes: Minutes, word: Mapping[str, str]) -> list[str]:
    page = [f"## {word['summary']}", _md(minutes.summary)]
    for label, entries in (("topics", minutes.topics), ("decisions", minutes.decisions)):
        if entries:
            page += [f"## {word[label]}", "\n".join(f"- {_md(entry)}" for entry in entries)]
    if minutes.action_items:
        table = [
            f"| {word['owner']} | {word['task']} | {word['due']} | {word['said_at']} |",
            "| --- | --- | --- | --- |",
        ]
        for item in minutes.action_items:
            cells = (item.owner or "-", item.task, item.due or "-", clock(item.start))
            table.append(f"| {' | '.join(_md(cell) for cell in cells)} |")
        page += [f"## {word['action_items']}", "\n".join(table)]
    if minutes.keywords:
        page += [f"## {word['keywords']}", _md(", ".join(minutes.keywords))]
    return page


def _spoken_lines(transcript: Transcript) -> list[str]:
    lines = []
    for segment in transcript.segments:
        text = " ".join(segment.text.split())
        if text:
            speaker = f"{segment.speaker}: " if segment.speaker else ""
            lines.append(f"[{clock(segment.start)}] {speaker}{text}")
    return lines


_MARKDOWN: Final = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_|<[]#"})


def _md(text: str) -> str:
    """Escape what Markdown would take for markup; a line break would end a table row."""
    return " ".join(text.split()).translate(_MARKDOWN)


EXPORT_FORMATS: Final[Mapping[str, Export]] = {
    "txt": to_txt,
    "srt": lambda name, transcript, minutes: to_srt(transcript),
    "vtt": lambda name, transcript, minutes: to_vtt(transcript),
    "json": to_json,
    "md": to_md,
}
