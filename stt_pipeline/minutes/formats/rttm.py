"""RTTM: speaker turns in the format of NIST's diarization evaluations."""

from stt_pipeline.minutes.exports import ExportContent


class Rttm:
    """One ``SPEAKER`` line for each turn. The file id is the recording's name without extension, as in references.

    Notes for the reader are comments after the turns, if there are any. They have no spaces: readers that know no comments take them for lines
    without a file id, and skip them (`pyannote.database` does).
    """

    media_type = "text/plain"
    is_text = True
    has_minutes = False
    needs_turns = True

    def write(self, content: ExportContent) -> bytes:
        """See :meth:`ExportFormat.write`."""
        from stt_pipeline.speech.evaluation import write_rttm

        turns = write_rttm(content.turns, content.name.rpartition(".")[0] or content.name)
        notes = content.document().notes if turns else ()
        comments = (f";;_{'_'.join(note.split())}\n" for note in notes)
        return (turns + "".join(comments)).encode()
