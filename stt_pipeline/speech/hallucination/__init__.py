"""Judges what the model wrote about a stretch of sound, has the suspicious decoded again, drops what nobody said.

No model inside: it is asked for through a callable. What a chunk is, and how it is decoded, is for `engine`.
"""

from stt_pipeline.speech.hallucination.audio_evidence import AudioEvidence, SpeechStats
from stt_pipeline.speech.hallucination.examination import Candidate, examine, finalize
from stt_pipeline.speech.hallucination.reasons import Reason
from stt_pipeline.speech.hallucination.retries import Attempt, Decode
from stt_pipeline.speech.hallucination.uncovered_speech import untranscribed_speech

__all__ = [
    "Attempt",
    "AudioEvidence",
    "Candidate",
    "Decode",
    "Reason",
    "SpeechStats",
    "examine",
    "finalize",
    "untranscribed_speech",
]
