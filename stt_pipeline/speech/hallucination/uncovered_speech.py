"""Seconds of speech without text: missing words are worse than hallucinated ones, because no reader notices them."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from stt_pipeline.speech.hallucination.audio_evidence import AudioEvidence
from stt_pipeline.speech.hallucination.reasons import syllables
from stt_pipeline.speech.transcript import Segment, TimeSpan
from stt_pipeline.speech.voice_activity import FRAME_SECONDS, SPEECH

_MARGIN = 0.3  # seconds around a word that count as covered: word times are inexact

# Whisper extends a word over deleted words beside it: only the time that it takes to say it slowly counts as covered
_MAX_SYLLABLE_SECONDS = 0.6  # four times the average
# A place to look for missing words: shorter ones are breath, laughter, or the inexact time of a word
_MIN_PART = 1.0  # seconds
_MAX_GAP = 1.0  # seconds without speech, or with text, within one place

_MIN_WORD_LIMIT = 1.0  # seconds; "음" and "네" may be long


def untranscribed_speech(evidence: AudioEvidence, segments: Sequence[Segment]) -> tuple[float, float]:
    """Return the seconds of speech in a chunk, and how many of them have no text.

    Args:
        evidence: of the chunk.
        segments: of its transcript; seconds from the chunk's start.
    """
    speech = evidence.probabilities >= SPEECH
    uncovered = _uncovered(evidence, segments)
    return float(np.count_nonzero(speech)) * FRAME_SECONDS, float(np.count_nonzero(uncovered)) * FRAME_SECONDS


def untranscribed_parts(evidence: AudioEvidence, segments: Sequence[Segment]) -> list[TimeSpan]:
    """Return where a second and more of speech in a chunk has no text; arguments and times as above."""
    frames = np.flatnonzero(_uncovered(evidence, segments))
    if not len(frames):
        return []
    groups = np.split(frames, np.flatnonzero(np.diff(frames) * FRAME_SECONDS > _MAX_GAP) + 1)
    return [
        TimeSpan(float(group[0]) * FRAME_SECONDS, float(group[-1] + 1) * FRAME_SECONDS)
        for group in groups
        if len(group) * FRAME_SECONDS >= _MIN_PART
    ]


def _uncovered(evidence: AudioEvidence, segments: Sequence[Segment]) -> npt.NDArray[np.bool_]:
    """Return which frames are speech without text."""
    uncovered = evidence.probabilities >= SPEECH
    for start, end in _covered(segments):
        first, last = round((start - _MARGIN) / FRAME_SECONDS), round((end + _MARGIN) / FRAME_SECONDS)
        uncovered[max(0, first) : max(0, last)] = False
    return uncovered


def _covered(segments: Sequence[Segment]) -> Iterator[tuple[float, float]]:
    for segment in segments:
        if not segment.words:
            yield segment.start, segment.end
        for word in segment.words:
            longest = max(_MIN_WORD_LIMIT, _MAX_SYLLABLE_SECONDS * syllables(word.text))
            yield word.start, min(word.end, word.start + longest)
