"""Judges what the model wrote about a stretch of sound, has the suspicious decoded again, drops what nobody said.

No model inside: it is asked for through a callable. What a chunk is, and how it is decoded, is for `engine`.
"""

from stt_pipeline.speech.guard.evidence import Evidence, Stretch
from stt_pipeline.speech.guard.examination import Judged, examine, settle
from stt_pipeline.speech.guard.missing import speech_without_text
from stt_pipeline.speech.guard.retries import Attempt, Decode
from stt_pipeline.speech.guard.signs import Sign

__all__ = [
    "Attempt",
    "Decode",
    "Evidence",
    "Judged",
    "Sign",
    "Stretch",
    "examine",
    "settle",
    "speech_without_text",
]
