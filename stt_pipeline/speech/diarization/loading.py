"""The choice of a diarizer by name."""

from collections.abc import Callable

from stt_pipeline.errors import ConfigurationError
from stt_pipeline.speech.diarization.channel import ChannelDiarizer
from stt_pipeline.speech.diarization.diarizer import Diarizer, SingleSpeaker
from stt_pipeline.speech.diarization.embedded import EmbeddedDiarizer
from stt_pipeline.speech.diarization.pyannote import PyannoteDiarizer
from stt_pipeline.speech.diarization.segmentation import SegmentationDiarizer
from stt_pipeline.speech.diarization.segmentation_model import is_installed


def load_diarizer(name: str, *, pyannote_pipeline: str = "", device: str = "auto") -> Diarizer:
    """Return the diarizer of that name; models are loaded here, so keep it.

    Args:
        name: "auto", or a diarizer's own name. "auto" is segmentation where the whisperx extra is installed, else embedded.
        pyannote_pipeline: see :class:`PyannoteDiarizer`.
        device: of diarizers that can use a GPU: "auto", "cpu", "cuda" or "cuda:1".

    Raises:
        ConfigurationError: there is none of that name, or it lacks something: the extra, a token, its models.
    """
    diarizers: dict[str, Callable[[], Diarizer]] = {
        ChannelDiarizer.name: ChannelDiarizer,
        EmbeddedDiarizer.name: EmbeddedDiarizer,
        SingleSpeaker.name: SingleSpeaker,
        PyannoteDiarizer.name: lambda: PyannoteDiarizer(pyannote_pipeline, device),
        SegmentationDiarizer.name: SegmentationDiarizer,
    }
    if name == "auto":
        name = SegmentationDiarizer.name if is_installed() else EmbeddedDiarizer.name
    if name not in diarizers:
        known = ", ".join(sorted(diarizers))
        raise ConfigurationError(f"There is no diarizer {name!r}; set STT_DIARIZER to one of: {known}.")
    return diarizers[name]()
