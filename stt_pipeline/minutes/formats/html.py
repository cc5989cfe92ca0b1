"""HTML: a page for a browser, with a player where the audio is at hand."""

from stt_pipeline.minutes.exports import ExportContent
from stt_pipeline.minutes.page import html_page


class Html:
    """The minutes if there are any, and the transcript by speaker; prints on A4."""

    media_type = "text/html"
    is_text = True
    has_minutes = True
    needs_turns = False

    def write(self, content: ExportContent) -> bytes:
        """See :meth:`ExportFormat.write`."""
        return html_page([content])
