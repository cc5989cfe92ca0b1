"""Hallucination checks: finds suspicious segments, decodes them again in other ways, drops those without speech.

No model inside: decoding is a callable. Chunks and the decoder belong to `engine`.
"""

from stt_pipeline.speech.hallucination.audio_evidence import AudioEvidence, SpeechStats
from stt_pipeline.speech.hallucination.examination import Candidate, examine, finalize
from stt_pipeline.speech.hallucination.reasons import Reason
from stt_pipeline.speech.hallucination.retries import Attempt, Decode
from stt_pipeline.speech.hallucination.uncovered_speech import untranscribed_parts, untranscribed_speech

__all__ = [
    "Attempt",
    "AudioEvidence",
    "Candidate",
    "Decode",
    "Reason",
    "SpeechStats",
    "examine",
    "finalize",
    "untranscribed_parts",
    "untranscribed_speech",
]
