"""SubRip subtitles."""

from stt_pipeline.durations import subtitle_time
from stt_pipeline.minutes.exports import ExportContent
from stt_pipeline.minutes.subtitles.cues import subtitle_cues
from stt_pipeline.minutes.subtitles.notice import with_notice


class Srt:
    """One numbered block for each cue; the first cue of a speaker begins with the name.

    SubRip has no comments, so notes for the reader are cues of their own, at a time without speech.
    """

    media_type = "application/x-subrip"
    is_text = True
    has_minutes = False
    needs_turns = False

    def write(self, content: ExportContent) -> bytes:
        """See :meth:`ExportFormat.write`."""
        document, options = content.document(), content.subtitles
        cues = subtitle_cues(document.transcript, options)
        if options.review_notes:
            cues = with_notice(cues, document.notes, options, document.language, document.transcript.duration)
        blocks = []
        for number, cue in enumerate(cues, start=1):
            times = f"{subtitle_time(cue.start, ',')} --> {subtitle_time(cue.end, ',')}"
            # SubRip has no escapes; a player would parse an arrow in the text as a time line
            text = "\n".join(cue.lines).replace("-->", "->")
            blocks.append(f"{number}\n{times}\n{text}\n")
        return "\n".join(blocks).encode()
