"""SubRip subtitles."""

from stt_pipeline.durations import subtitle_time
from stt_pipeline.minutes.exports import ExportContent
from stt_pipeline.minutes.subtitles import subtitle_cues


class Srt:
    """One numbered block for each cue, with the speaker at the start of the text."""

    media_type = "application/x-subrip"
    is_text = True
    has_minutes = False
    needs_turns = False

    def write(self, content: ExportContent) -> bytes:
        """See :meth:`ExportFormat.write`."""
        blocks = []
        for number, cue in enumerate(subtitle_cues(content.document().transcript), start=1):
            text = f"{cue.speaker}: {cue.text}" if cue.speaker else cue.text
            times = f"{subtitle_time(cue.start, ',')} --> {subtitle_time(cue.end, ',')}"
            # SubRip has no escapes; a player would parse an arrow in the text as a time line
            blocks.append(f"{number}\n{times}\n{text.replace('-->', '->')}\n")
        return "\n".join(blocks).encode()
