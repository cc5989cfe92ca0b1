"""The diarizer `auto`, the default."""

from stt_pipeline.speech.diarization.diarizer import Diarizer
from stt_pipeline.speech.diarization.embedded import EmbeddedDiarizer
from stt_pipeline.speech.diarization.segmentation import SegmentationDiarizer
from stt_pipeline.speech.whisperx_extra import is_installed


def default_diarizer() -> Diarizer:
    """Return the diarizer `auto`: segmentation where the whisperx extra is installed, else embedded."""
    return SegmentationDiarizer() if is_installed() else EmbeddedDiarizer()
