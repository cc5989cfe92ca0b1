"""Plain text: one line for each segment."""

from stt_pipeline.minutes.exports import ExportContent
from stt_pipeline.minutes.lines import transcript_lines


class Txt:
    """The file name, the notes, and a line ``[m:ss] Speaker 1: text`` for each segment and each part without text."""

    media_type = "text/plain"
    is_text = True
    has_minutes = False
    needs_turns = False

    def write(self, content: ExportContent) -> bytes:
        """See :meth:`ExportFormat.write`."""
        document = content.document()
        head = [content.name, *(f"* {note}" for note in document.notes), ""]
        return (
            "\n".join([*head, *map(str, transcript_lines(document.transcript, document.language))]) + "\n"
        ).encode()
