"""Whisper over a stream of recordings: chunks of many recordings share a model batch. Audio in, raw transcripts out.

`engine` is the interface. `chunks` cuts a recording, `decoding` runs the model on a batch, `chunk_review` checks the
result, `recording_state` collects the results of one recording, `scheduler` runs the threads.
"""

from stt_pipeline.speech.engine.engine import DEMO_NOTE, HOTWORDS_NOTE, Engine, local_transcriber

__all__ = ["DEMO_NOTE", "HOTWORDS_NOTE", "Engine", "local_transcriber"]
