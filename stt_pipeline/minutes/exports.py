"""Transcript and minutes as files for people and programs. Returns bytes; writes no file.

A format is one entry of `EXPORT_FORMATS`; docx and the subtitles have modules of their own.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from stt_pipeline.durations import clock
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.minutes.docx import to_docx
from stt_pipeline.minutes.labels import labels
from stt_pipeline.minutes.lines import transcript_lines
from stt_pipeline.minutes.model import Minutes, minutes_to_json
from stt_pipeline.minutes.subtitles import to_srt, to_vtt
from stt_pipeline.speech.evaluation import write_rttm
from stt_pipeline.speech.transcript import SpeakerTurn, Transcript, segments_to_json

ExportFormat = Literal["txt", "srt", "vtt", "json", "md", "docx", "rttm"]

JSON_SCHEMA_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class Format:
    """What a kind of file is, and how it is made.

    Attributes:
        media_type: as HTTP names it, without parameters.
        is_text: whether the bytes are UTF-8 text.
        has_minutes: whether it has room for minutes; else it holds the transcript, or the speaker turns, only.
        write: takes name, transcript, minutes and speaker turns.
    """

    media_type: str
    is_text: bool
    has_minutes: bool
    write: Callable[[str, Transcript, Minutes | None, Sequence[SpeakerTurn]], str | bytes]


def export(
    format: str,
    *,
    name: str,
    transcript: Transcript,
    minutes: Minutes | None = None,
    turns: Sequence[SpeakerTurn] = (),
) -> bytes:
    """Return ``transcript``, and what else the format has room for, as the bytes of a file.

    Args:
        format: a key of :data:`EXPORT_FORMATS`.
        name: what the recording is called, shown at the top (``board-meeting.mp3``).
        transcript: may be empty.
        minutes: left out where there are none yet; json, md and docx hold them.
        turns: who spoke when; only rttm holds them, and nothing else.

    Raises:
        InvalidRequestError: the format is not known.
    """
    try:
        chosen = EXPORT_FORMATS[format]
    except KeyError:
        known = ", ".join(EXPORT_FORMATS)
        raise InvalidRequestError(f"There is no export format {format!r}. Choose one of: {known}.") from None
    content = chosen.write(name, transcript, minutes, turns)
    return content.encode() if isinstance(content, str) else content


def to_txt(name: str, transcript: Transcript) -> str:
    """Return the name, the notes, and a line ``[m:ss] SPEAKER_00: text`` a segment."""
    head = [name, *(f"* {note}" for note in transcript.notes), ""]
    return "\n".join([*head, *map(str, transcript_lines(transcript))]) + "\n"


def to_json(name: str, transcript: Transcript, minutes: Minutes | None = None) -> str:
    """Return one JSON object, times in seconds from the start of the recording.

    ``schema`` (2), ``file``, ``language``, ``language_probability``, ``duration``, ``model``, ``notes`` (list of text),
    ``speakers`` (list of labels), ``speech_seconds``, ``untranscribed_speech_seconds``, ``quality`` (0 to 1, or null),
    ``segments`` (list of ``start, end, text, speaker, words, avg_logprob, no_speech_prob, compression_ratio``, a word being
    ``start, end, text, probability, speaker``), and ``minutes``: null, or ``title, summary, topics, decisions,
    action_items (task, owner, due, start), keywords, model, tokens_used``. Where there is something to say, a segment
    also has ``language``, ``hallucination_reasons`` (list of names) and ``raw_text`` (before the corrections), and a word ``overlap``,
    ``low_confidence`` and ``suggestion``.
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
        "speech_seconds": transcript.speech_seconds,
        "untranscribed_speech_seconds": transcript.untranscribed_speech_seconds,
        "quality": transcript.quality,
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
    lines = [f"- {_md(str(line))}{line.doubt}" for line in transcript_lines(transcript)]
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


_MARKDOWN: Final = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_|<[]#"})


def _md(text: str) -> str:
    """Escape what Markdown would take for markup; a line break would end a table row."""
    return " ".join(text.split()).translate(_MARKDOWN)


def _to_rttm(name: str, turns: Sequence[SpeakerTurn]) -> str:
    """Return NIST's lines; the file id is the recording's name without its ending, as references have it."""
    return write_rttm(turns, name.rpartition(".")[0] or name)


_WORD: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

EXPORT_FORMATS: Final[Mapping[str, Format]] = {
    "txt": Format("text/plain", True, False, lambda name, said, minutes, turns: to_txt(name, said)),
    "srt": Format("application/x-subrip", True, False, lambda name, said, minutes, turns: to_srt(said)),
    "vtt": Format("text/vtt", True, False, lambda name, said, minutes, turns: to_vtt(said)),
    "json": Format(
        "application/json", True, True, lambda name, said, minutes, turns: to_json(name, said, minutes)
    ),
    "md": Format("text/markdown", True, True, lambda name, said, minutes, turns: to_md(name, said, minutes)),
    "docx": Format(_WORD, False, True, lambda name, said, minutes, turns: to_docx(name, said, minutes)),
    "rttm": Format("text/plain", True, False, lambda name, said, minutes, turns: _to_rttm(name, turns)),
}
"""What can be written, by the ending of the file."""
