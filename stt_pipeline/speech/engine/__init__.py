"""Whisper over a stream of recordings: chunks of many of them share a model batch. Sound in, transcripts out.

`engine` is the door. `chunks` cuts a recording while it is read, `decoding` is the model, `state` one recording in
work, `session` the threads; `languages`, `words`, `sizes`, `failures` and `finishing` are what they say.
"""

from stt_pipeline.speech.engine.engine import DEMO_NOTE, Engine

__all__ = ["DEMO_NOTE", "Engine"]
