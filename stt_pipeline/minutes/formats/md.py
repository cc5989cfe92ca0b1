"""Markdown: the minutes, then the transcript."""

from collections.abc import Mapping

from stt_pipeline.durations import clock
from stt_pipeline.minutes.exports import ExportContent
from stt_pipeline.minutes.labels import labels
from stt_pipeline.minutes.lines import transcript_lines
from stt_pipeline.minutes.markdown import escaped
from stt_pipeline.minutes.model import Minutes


class Md:
    """A page with a heading, the minutes if there are any, and a list item for each segment."""

    media_type = "text/markdown"
    is_text = True
    has_minutes = True
    needs_turns = False

    def write(self, content: ExportContent) -> bytes:
        """See :meth:`ExportFormat.write`."""
        document = content.document()
        word = labels(document.language)
        page = [
            f"# {escaped(document.title)}",
            "\n".join(f"- {label}: {escaped(fact)}" for label, fact in document.facts),
            *(f"> {escaped(note)}" for note in document.notes),
        ]
        if document.minutes:
            page += _minutes_sections(document.minutes, word)
        lines = [
            f"- {escaped(str(line))}" for line in transcript_lines(document.transcript, document.language)
        ]
        page += [f"## {word['transcript']}", "\n".join(lines) or word["none"]]
        return ("\n\n".join(page) + "\n").encode()


def _minutes_sections(minutes: Minutes, word: Mapping[str, str]) -> list[str]:
    page = [f"## {word['summary']}", escaped(minutes.summary)]
    for label, entries in (("topics", minutes.topics), ("decisions", minutes.decisions)):
        if entries:
            page += [f"## {word[label]}", "\n".join(f"- {escaped(entry)}" for entry in entries)]
    if minutes.action_items:
        table = [
            f"| {word['owner']} | {word['task']} | {word['due']} | {word['said_at']} |",
            "| --- | --- | --- | --- |",
        ]
        for item in minutes.action_items:
            cells = (item.owner or "-", item.task, item.due or "-", clock(item.start))
            table.append(f"| {' | '.join(escaped(cell, in_table=True) for cell in cells)} |")
        page += [f"## {word['action_items']}", "\n".join(table)]
    if minutes.keywords:
        page += [f"## {word['keywords']}", escaped(", ".join(minutes.keywords))]
    return page
