"""How diarization backends are loaded: by name from `DIARIZERS`, and the default backend `auto`."""

from dataclasses import dataclass

from stt_pipeline.backends import DIARIZERS
from stt_pipeline.speech.diarization.diarizer import Diarizer
from stt_pipeline.speech.diarization.embedded import EmbeddedDiarizer
from stt_pipeline.speech.diarization.segmentation import SegmentationDiarizer
from stt_pipeline.speech.whisperx_extra import is_installed


@dataclass(frozen=True, slots=True)
class _Settings:
    pyannote_pipeline: str
    device: str


def load_diarizer(name: str, *, pyannote_pipeline: str = "", device: str = "auto") -> Diarizer:
    """Return the diarizer of that name; the process keeps one instance for each set of arguments.

    Args:
        name: an entry of `DIARIZERS`.
        pyannote_pipeline: see :class:`PyannoteDiarizer`.
        device: for backends that can use a GPU: "auto", "cpu", "cuda" or "cuda:1".

    Raises:
        ConfigurationError: the name is unknown, or the backend lacks its extra, a token or its models.
    """
    diarizer: Diarizer = DIARIZERS.create(name, _Settings(pyannote_pipeline, device))
    return diarizer


def default_diarizer() -> Diarizer:
    """Return the diarizer `auto`: segmentation where the whisperx extra is installed, else embedded."""
    return SegmentationDiarizer() if is_installed() else EmbeddedDiarizer()
