"""RTTM: speaker turns in the format of NIST's diarization evaluations."""

from stt_pipeline.minutes.exports import ExportContent


class Rttm:
    """One ``SPEAKER`` line for each turn. The file id is the recording's name without extension, as in references."""

    media_type = "text/plain"
    is_text = True
    has_minutes = False
    needs_turns = True

    def write(self, content: ExportContent) -> bytes:
        """See :meth:`ExportFormat.write`."""
        from stt_pipeline.speech.evaluation import write_rttm

        return write_rttm(content.turns, content.name.rpartition(".")[0] or content.name).encode()
