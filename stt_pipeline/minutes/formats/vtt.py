"""WebVTT subtitles (https://www.w3.org/TR/webvtt1/)."""

from collections.abc import Sequence

from stt_pipeline.durations import subtitle_time
from stt_pipeline.minutes.exports import Document, ExportContent
from stt_pipeline.minutes.missing import missing_text
from stt_pipeline.minutes.subtitles.cues import subtitle_cues
from stt_pipeline.minutes.subtitles.timing import Piece
from stt_pipeline.speech.transcript import TimeSpan


class Vtt:
    """One block for each cue, with a voice tag for each speaker, and comments about what is missing or doubtful."""

    media_type = "text/vtt"
    is_text = True
    has_minutes = False
    needs_turns = False

    def write(self, content: ExportContent) -> bytes:
        """See :meth:`ExportFormat.write`."""
        document, options = content.document(), content.subtitles
        cues = subtitle_cues(document.transcript, options, labels_in_text=False)
        notes = list(document.notes) if options.review_notes else []
        missing = list(document.transcript.untranscribed_parts) if options.review_notes else []
        blocks = ["WEBVTT\n", *map(_comment, notes)]
        for cue in cues:
            while missing and 1000 * missing[0].start <= cue.start:
                blocks.append(_missing_comment(missing.pop(0), document))
            times = f"{subtitle_time(cue.start, '.')} --> {subtitle_time(cue.end, '.')}"
            blocks.append(f"{times}\n{_text(cue.pieces, options.speaker_labels)}\n")
        blocks += [_missing_comment(part, document) for part in missing]
        return "\n".join(blocks).encode()


def _text(pieces: Sequence[Piece], with_voices: bool) -> str:
    return "\n".join(_spoken(piece, with_voices) for piece in pieces)


def _spoken(piece: Piece, with_voices: bool) -> str:
    text = _escape("\n".join(piece.lines))
    return f"<v {_escape(piece.speaker)}>{text}</v>" if piece.speaker and with_voices else text


def _missing_comment(part: TimeSpan, document: Document) -> str:
    times = " - ".join(subtitle_time(round(1000 * seconds), ".") for seconds in (part.start, part.end))
    return _comment(f"{times} {missing_text(part, document.language)}")


def _comment(text: str) -> str:
    """Return a comment block; an arrow in it would begin a cue."""
    return f"NOTE {' '.join(text.split()).replace('-->', '->')}\n"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
