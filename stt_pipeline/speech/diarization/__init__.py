"""Who speaks when: sound in, speaker turns out. Nothing here reads words, files or settings."""

from stt_pipeline.speech.diarization.diarizer import Diarizer, SingleSpeaker
from stt_pipeline.speech.diarization.embedded import EmbeddedDiarizer
from stt_pipeline.speech.diarization.loading import load_diarizer

__all__ = ["Diarizer", "EmbeddedDiarizer", "SingleSpeaker", "load_diarizer"]
