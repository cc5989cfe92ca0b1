"""Who speaks when: samples in, speaker turns out. Nothing here reads words, files or settings."""

from stt_pipeline.speech.diarization.diarizer import Diarizer, SingleSpeaker, load_diarizer
from stt_pipeline.speech.diarization.embedded import EmbeddedDiarizer

__all__ = ["Diarizer", "EmbeddedDiarizer", "SingleSpeaker", "load_diarizer"]
