"""How much speech has no text: words that are quietly left out hurt more than those that are made up."""

from collections.abc import Iterator, Sequence

import numpy as np

from stt_pipeline.speech.hallucination.audio_evidence import FRAME_SECONDS, SPEECH, AudioEvidence
from stt_pipeline.speech.hallucination.reasons import syllables
from stt_pipeline.speech.transcript import Segment

_REACH = 0.3  # seconds around a word that go with it: its times are read off the model's attention, and are that rough

# A word is stretched over what was left out before or after it: no more of it counts than it takes to say it slowly.
_LONGEST_SYLLABLE = 0.6  # seconds; four times the average
_SHORTEST_WORD = 1.0  # seconds; "음" and "네" may be long


def untranscribed_speech(evidence: AudioEvidence, segments: Sequence[Segment]) -> tuple[float, float]:
    """Return the seconds of speech in a chunk, and how many of these have no text.

    Args:
        evidence: about the chunk.
        segments: what stands in its transcript; seconds from the chunk's start.
    """
    speech = evidence.probabilities >= SPEECH
    without = speech.copy()
    for start, end in _covered(segments):
        first, last = round((start - _REACH) / FRAME_SECONDS), round((end + _REACH) / FRAME_SECONDS)
        without[max(0, first) : max(0, last)] = False
    return float(np.count_nonzero(speech)) * FRAME_SECONDS, float(np.count_nonzero(without)) * FRAME_SECONDS


def _covered(segments: Sequence[Segment]) -> Iterator[tuple[float, float]]:
    for segment in segments:
        if not segment.words:
            yield segment.start, segment.end
        for word in segment.words:
            longest = max(_SHORTEST_WORD, _LONGEST_SYLLABLE * syllables(word.text))
            yield word.start, min(word.end, word.start + longest)
