"""WebVTT subtitles (https://www.w3.org/TR/webvtt1/)."""

from stt_pipeline.durations import subtitle_time
from stt_pipeline.minutes.exports import ExportContent
from stt_pipeline.minutes.subtitles import subtitle_cues


class Vtt:
    """One block for each cue, with a voice tag for the speaker."""

    media_type = "text/vtt"
    is_text = True
    has_minutes = False
    needs_turns = False

    def write(self, content: ExportContent) -> bytes:
        """See :meth:`ExportFormat.write`."""
        blocks = ["WEBVTT\n"]
        for cue in subtitle_cues(content.document().transcript):
            text = _escape(cue.text)
            voice = f"<v {_escape(cue.speaker)}>{text}</v>" if cue.speaker else text
            blocks.append(f"{subtitle_time(cue.start, '.')} --> {subtitle_time(cue.end, '.')}\n{voice}\n")
        return "\n".join(blocks).encode()


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
