"""Word document: the minutes, then the transcript."""

import io
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from stt_pipeline.durations import clock
from stt_pipeline.minutes.exports import ExportContent
from stt_pipeline.minutes.labels import labels
from stt_pipeline.minutes.lines import transcript_lines
from stt_pipeline.minutes.model import Minutes
from stt_pipeline.speech.transcript import Transcript

if TYPE_CHECKING:
    from docx.document import Document

# part of Korean Windows and of Word, with Latin letters; other systems substitute a sans font
FONT: Final = "맑은 고딕"
_MARGIN: Final = 25  # mm; 160 mm of an A4 page remain
_HEAD_WIDTHS: Final = (30, 130)
_ACTION_WIDTHS: Final = (32, 78, 32, 18)
# characters that XML 1.0 does not allow, not even escaped
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Docx:
    """An A4 document: the head, the minutes if there are any, a paragraph for each segment, and page numbers."""

    media_type = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    is_text = False
    has_minutes = True
    needs_turns = False

    def write(self, content: ExportContent) -> bytes:
        """See :meth:`ExportFormat.write`."""
        import docx

        page = content.document()
        word = labels(page.language)
        document = docx.Document()
        _set_properties(document, page.title)
        _set_fonts(document, page.language)
        _set_page(document)
        document.add_heading(_clean(page.title), level=0)
        _add_table(document, [(label, fact) for label, fact in page.facts], _HEAD_WIDTHS, bold_column=0)
        for note in page.notes:
            document.add_paragraph(_clean(note), style="Intense Quote")
        if page.minutes:
            _add_minutes(document, page.minutes, word)
        document.add_heading(word["transcript"], level=1)
        _add_transcript(document, page.transcript, page.language)
        file = io.BytesIO()
        document.save(file)
        return file.getvalue()


def _set_properties(document: "Document", title: str) -> None:
    """Set the title and the dates; python-docx's template has those of its author."""
    properties = document.core_properties
    properties.title, properties.author, properties.comments = _clean(title)[:255], "", ""
    properties.created = properties.modified = datetime.now(UTC)


def _set_fonts(document: "Document", language: str) -> None:
    """Set one font for all scripts, which python-docx's template takes from a theme, and the language of Korean text."""
    from docx.oxml.ns import qn

    for fonts in document.styles.element.iter(qn("w:rFonts")):
        for script in ("ascii", "hAnsi", "eastAsia", "cs"):
            fonts.attrib.pop(qn(f"w:{script}Theme"), None)
            fonts.set(qn(f"w:{script}"), FONT)
    if language == "ko":
        for spelling in document.styles.element.iter(qn("w:lang")):
            spelling.set(qn("w:eastAsia"), "ko-KR")


def _set_page(document: "Document") -> None:
    """Set A4 with margins of 25 mm, and the page number in the footer."""
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.shared import Mm

    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    for side in ("left_margin", "right_margin", "top_margin", "bottom_margin"):
        setattr(section, side, Mm(_MARGIN))
    paragraph = section.footer.paragraphs[0]
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    number = OxmlElement("w:fldSimple")  # python-docx has no API for fields
    number.set(qn("w:instr"), "PAGE")
    paragraph._p.append(number)


def _add_table(
    document: "Document",
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
    *,
    bold_row: int | None = None,
    bold_column: int | None = None,
) -> None:
    """Add a table whose columns have ``widths`` in mm; LibreOffice reads those of the cells only."""
    from docx.shared import Mm

    table = document.add_table(rows=len(rows), cols=len(widths), style="Table Grid")
    table.autofit = False
    for column, width in zip(table.columns, widths, strict=True):
        column.width = Mm(width)
    for number, (row, texts) in enumerate(zip(table.rows, rows, strict=True)):
        for place, (cell, text, width) in enumerate(zip(row.cells, texts, widths, strict=True)):
            cell.width = Mm(width)
            run = cell.paragraphs[0].add_run(_clean(text))
            run.bold = number == bold_row or place == bold_column


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
        head = (word["owner"], word["task"], word["due"], word["said_at"])
        items = [
            (item.owner or "-", item.task, item.due or "-", clock(item.start))
            for item in minutes.action_items
        ]
        _add_table(document, [head, *items], _ACTION_WIDTHS, bold_row=0)
    if minutes.keywords:
        document.add_heading(word["keywords"], level=1)
        document.add_paragraph(_clean(", ".join(minutes.keywords)))


def _add_transcript(document: "Document", transcript: Transcript, language: str) -> None:
    is_empty = True
    for line in transcript_lines(transcript, language):
        is_empty = False
        paragraph = document.add_paragraph(f"{line.time} ")
        if line.speaker:
            paragraph.add_run(_clean(f"{line.speaker}: ")).bold = True
        paragraph.add_run(_clean(f"{line.text}{line.doubt}")).italic = line.is_missing or None
    if is_empty:
        document.add_paragraph(labels(language)["none"])


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
