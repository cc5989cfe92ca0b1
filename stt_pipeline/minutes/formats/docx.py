"""Word document: the minutes, then the transcript."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from stt_pipeline.durations import clock
from stt_pipeline.minutes.exports import ExportContent
from stt_pipeline.minutes.labels import labels
from stt_pipeline.minutes.lines import transcript_lines
from stt_pipeline.minutes.model import ActionItem, Minutes
from stt_pipeline.speech.transcript import Transcript

if TYPE_CHECKING:
    from docx.document import Document

# part of Korean Windows and of Word; other systems substitute their own font
EAST_ASIAN_FONT: Final = "맑은 고딕"
# characters that XML 1.0 does not allow, not even escaped
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Docx:
    """A document with a title, the minutes if there are any, and a paragraph for each segment."""

    media_type = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    is_text = False
    has_minutes = True
    needs_turns = False

    def write(self, content: ExportContent) -> bytes:
        """See :meth:`ExportFormat.write`."""
        import docx

        transcript, minutes = content.transcript, content.minutes
        word = labels(transcript.language)
        document = docx.Document()
        title = _clean(minutes.title if minutes else content.name)
        _set_up(document, title, transcript.language)
        document.add_heading(title, level=0)
        for label, fact in (
            ("recording", content.name),
            ("length", clock(transcript.duration)),
            ("speakers", ", ".join(transcript.speakers) or word["none"]),
        ):
            document.add_paragraph(_clean(f"{word[label]}: {fact}"), style="List Bullet")
        for note in transcript.notes:
            document.add_paragraph(_clean(note), style="Intense Quote")
        if minutes:
            _add_minutes(document, minutes, word)
        document.add_heading(word["transcript"], level=1)
        _add_transcript(document, transcript, word)
        file = io.BytesIO()
        document.save(file)
        return file.getvalue()


def _set_up(document: "Document", title: str, language: str) -> None:
    """Set the title, and the font and language of East Asian text, which python-docx's template takes from a theme."""
    from docx.oxml.ns import qn

    properties = document.core_properties
    properties.title, properties.author, properties.comments = title[:255], "", ""
    for fonts in document.styles.element.iter(qn("w:rFonts")):
        fonts.attrib.pop(qn("w:eastAsiaTheme"), None)
        fonts.set(qn("w:eastAsia"), EAST_ASIAN_FONT)
    if language == "ko":
        for spelling in document.styles.element.iter(qn("w:lang")):
            spelling.set(qn("w:eastAsia"), "ko-KR")


def _add_minutes(document: "Document", minutes: Minutes, word: Mapping[str, str]) -> None:
    document.add_heading(word["summary"], level=1)
    document.add_paragraph(_clean(minutes.summary))
    for label, entries in (("topics", minutes.topics), ("decisions", minutes.decisions)):
        if entries:
            document.add_heading(word[label], level=1)
            for entry in entries:
                document.add_paragraph(_clean(entry), style="List Bullet")
    if minutes.action_items:
        document.add_heading(word["action_items"], level=1)
        _add_action_items(document, minutes.action_items, word)
    if minutes.keywords:
        document.add_heading(word["keywords"], level=1)
        document.add_paragraph(_clean(", ".join(minutes.keywords)))


def _add_action_items(document: "Document", items: Sequence[ActionItem], word: Mapping[str, str]) -> None:
    rows = [
        (word["owner"], word["task"], word["due"], word["said_at"]),
        *((item.owner or "-", item.task, item.due or "-", clock(item.start)) for item in items),
    ]
    table = document.add_table(rows=len(rows), cols=4, style="Table Grid")
    for number, (row, texts) in enumerate(zip(table.rows, rows, strict=True)):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.paragraphs[0].add_run(_clean(text)).bold = number == 0


def _add_transcript(document: "Document", transcript: Transcript, word: Mapping[str, str]) -> None:
    is_empty = True
    for line in transcript_lines(transcript):
        is_empty = False
        paragraph = document.add_paragraph(f"{line.time} ")
        if line.speaker:
            paragraph.add_run(_clean(f"{line.speaker}: ")).bold = True
        paragraph.add_run(_clean(f"{line.text}{line.doubt}"))
    if is_empty:
        document.add_paragraph(word["none"])


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
