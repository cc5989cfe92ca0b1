"""Sentences that were quietly left out: Whisper stretches the segment before such a one over its place.

Words that are missing hurt more than words that are made up, since nobody sees them. What was left out is asked for
again, with a cut in the pause before it; the text is taken only if there is more of it.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from stt_pipeline.speech.hallucination.audio_evidence import FRAME_SECONDS, AudioEvidence
from stt_pipeline.speech.hallucination.reasons import Finding, findings, syllables
from stt_pipeline.speech.hallucination.retries import Attempt, Decode

# A segment with fewer syllables for each second of its speech, and a pause in it, may hold more than its text. Of the
# 158 segments of the samples two have fewer than 3.8, and both had swallowed a sentence.
_FEWEST_SYLLABLES = 3.8
_PAUSE = 0.2  # seconds: Silero makes the pause between two sentences shorter than it is
_SILENCE = 0.35  # probability, as where speech ends
_SENTENCE = 0.6  # seconds of speech on either side: the shortest sentences of the samples have about as much
_MORE_SYLLABLES = 2


def with_what_was_left_out(
    found: Sequence[Finding], evidence: AudioEvidence, decode: Decode
) -> Iterator[Finding]:
    """Yield what was found in a chunk, with more text where a segment had swallowed a sentence."""
    for finding in found:
        pause = None if finding.suspicious else _pause(finding, evidence)
        yield from [finding] if pause is None else _decoded_again(finding, pause, evidence, decode)


def _decoded_again(
    finding: Finding, pause: float, evidence: AudioEvidence, decode: Decode
) -> Sequence[Finding]:
    segment = finding.segment
    attempts = (Attempt(segment.start, pause), Attempt(pause, segment.end))
    again = findings([part for attempt in attempts for part in decode(attempt)], evidence, ())
    said = sum(_spoken(one.segment.text) for one in again)
    if any(one.suspicious for one in again) or said < _spoken(segment.text) + _MORE_SYLLABLES:
        return [finding]
    return again


def _spoken(text: str) -> int:
    """Return about how many syllables it takes to say ``text``, rather too many: 30% is three and three (삼십 퍼센트)."""
    return syllables(text) + text.count("0") + 3 * text.count("%")


def _pause(finding: Finding, evidence: AudioEvidence) -> float | None:
    """Return the middle of the longest pause within a segment that says little for its time; None for others."""
    segment = finding.segment
    seconds = finding.spoken.speech_seconds
    if seconds < 2 * _SENTENCE or _spoken(segment.text) >= _FEWEST_SYLLABLES * seconds:
        return None
    first, last = (round(time / FRAME_SECONDS) for time in (segment.start, segment.end))
    silent = evidence.probabilities[first:last] < _SILENCE
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(np.int8)))
    pauses = [
        (end - start, (first + (start + end) / 2) * FRAME_SECONDS)
        for start, end in edges.reshape(-1, 2).tolist()
        if (end - start) * FRAME_SECONDS >= _PAUSE
    ]
    between = [
        pause
        for pause in pauses
        if evidence.between(segment.start, pause[1]).speech_seconds >= _SENTENCE
        and evidence.between(pause[1], segment.end).speech_seconds >= _SENTENCE
    ]
    return max(between)[1] if between else None
