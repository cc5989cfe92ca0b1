"""The choice of a diarizer by name."""

from stt_pipeline.errors import ConfigurationError
from stt_pipeline.speech.diarization.diarizer import Diarizer, SingleSpeaker
from stt_pipeline.speech.diarization.embedded import EmbeddedDiarizer


def load_diarizer(name: str) -> Diarizer:
    """Return the diarizer of that name.

    Raises:
        ConfigurationError: there is none of that name.
    """
    diarizers: dict[str, type[Diarizer]] = {kind.name: kind for kind in (EmbeddedDiarizer, SingleSpeaker)}
    if name == "auto":
        name = EmbeddedDiarizer.name
    if name not in diarizers:
        known = ", ".join(sorted(diarizers))
        raise ConfigurationError(f"There is no diarizer {name!r}; set STT_DIARIZER to one of: {known}.")
    return diarizers[name]()
