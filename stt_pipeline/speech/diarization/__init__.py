"""Speaker diarization: sound in, speaker turns out. Nothing here reads text, files or settings."""

from stt_pipeline.speech.diarization.channel import ChannelDiarizer
from stt_pipeline.speech.diarization.diarizer import ANY_NUMBER, Diarizer, SingleSpeaker, SpeakerCount
from stt_pipeline.speech.diarization.embedded import EmbeddedDiarizer
from stt_pipeline.speech.diarization.pyannote import PyannoteDiarizer

__all__ = [
    "ANY_NUMBER",
    "ChannelDiarizer",
    "Diarizer",
    "EmbeddedDiarizer",
    "PyannoteDiarizer",
    "SingleSpeaker",
    "SpeakerCount",
]
