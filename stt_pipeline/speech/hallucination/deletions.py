"""Deleted sentences: Whisper sometimes skips a sentence, and extends the segment before it over its time.

Missing words are worse than hallucinated ones, because no reader notices them. Such a segment is decoded again in two
parts, cut in the pause; the new text is used only if it is longer.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from stt_pipeline.speech.hallucination.audio_evidence import AudioEvidence
from stt_pipeline.speech.hallucination.reasons import Finding, find_reasons, syllables
from stt_pipeline.speech.hallucination.retries import Attempt, Decode
from stt_pipeline.speech.voice_activity import FRAME_SECONDS

# A segment with fewer syllables per second of speech, and with a pause in it, may lack a sentence. Of the 158 segments of
# the samples two have fewer than 3.8, and both lacked one.
_MIN_SYLLABLES_PER_SECOND = 3.8
_MIN_PAUSE = 0.2  # seconds: Silero's pauses between sentences are shorter than the real ones
_PAUSE_PROBABILITY = 0.35  # of speech, as at the end of a region
_MIN_SENTENCE = 0.6  # seconds of speech on either side: about the shortest sentences of the samples
_MIN_GAIN = 2  # syllables


def recover_deletions(found: Sequence[Finding], evidence: AudioEvidence, decode: Decode) -> Iterator[Finding]:
    """Yield the findings of a chunk, with recovered text where a segment lacks a sentence."""
    for finding in found:
        pause = None if finding.suspicious else _longest_pause(finding, evidence)
        yield from [finding] if pause is None else _decode_in_parts(finding, pause, evidence, decode)


def _decode_in_parts(
    finding: Finding, pause: float, evidence: AudioEvidence, decode: Decode
) -> Sequence[Finding]:
    segment = finding.segment
    attempts = (Attempt(segment.start, pause), Attempt(pause, segment.end))
    again = find_reasons([part for attempt in attempts for part in decode(attempt)], evidence, ())
    total = sum(_max_syllables(one.segment.text) for one in again)
    if any(one.suspicious for one in again) or total < _max_syllables(segment.text) + _MIN_GAIN:
        return [finding]
    return again


def _max_syllables(text: str) -> int:
    """Return an upper estimate of the syllables of ``text`` when spoken: 30% counts as five (삼십 퍼센트)."""
    return syllables(text) + text.count("0") + 3 * text.count("%")


def _longest_pause(finding: Finding, evidence: AudioEvidence) -> float | None:
    """Return the middle of the longest pause in a segment with little text for its time; None for other segments."""
    segment = finding.segment
    seconds = finding.stats.speech_seconds
    if seconds < 2 * _MIN_SENTENCE or _max_syllables(segment.text) >= _MIN_SYLLABLES_PER_SECOND * seconds:
        return None
    first, last = (round(time / FRAME_SECONDS) for time in (segment.start, segment.end))
    silent = evidence.probabilities[first:last] < _PAUSE_PROBABILITY
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(np.int8)))
    pauses = [
        (end - start, (first + (start + end) / 2) * FRAME_SECONDS)
        for start, end in edges.reshape(-1, 2).tolist()
        if (end - start) * FRAME_SECONDS >= _MIN_PAUSE
    ]
    usable = [
        pause
        for pause in pauses
        if evidence.stats(segment.start, pause[1]).speech_seconds >= _MIN_SENTENCE
        and evidence.stats(pause[1], segment.end).speech_seconds >= _MIN_SENTENCE
    ]
    return max(usable)[1] if usable else None
