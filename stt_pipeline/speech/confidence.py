"""Confidence: marks on words with a low probability, and one quality figure for a whole recording.

Both use the probabilities that Whisper gives its words: the confidence of the model, not the accuracy of the text.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from stt_pipeline.speech.transcript import Segment, Transcript

LOW_CONFIDENCE_BELOW: Final = 0.7
"""Words with a lower probability are marked.

Measured with the demo model on 2,111 words of 24 random synthetic meetings: of the words of clear recordings 5 % are
wrong, of those below 0.7 39 % (below 0.5 45 %, from 0.95 on 3 %); on a telephone line, 33 % and 53 %. It marks 1.6 % of
the clear words and 18 % of the telephone's, and 12 % and 29 % of the wrong ones: a model can be confident of a wrong
name. The demo model gives higher probabilities than large ones, for which a higher threshold would mark half of the text.
"""

_MIN_WORD_SECONDS: Final = 0.02
"""The smallest weight of a word: Whisper's times are multiples of 20 ms, and some words have no length."""


def mark(segments: Sequence[Segment], below: float = LOW_CONFIDENCE_BELOW) -> tuple[Segment, ...]:
    """Return ``segments`` with `Word.low_confidence` set on exactly the words whose probability is under ``below``."""
    return tuple(_marked(segment, below) for segment in segments)


def quality(transcript: Transcript) -> float | None:
    """Return the mean probability of the words of ``transcript``, 0 to 1, to three decimals; None without speech.

    Words are weighted by their length. Words of segments with hallucination reasons, and speech without text, count with
    probability 0. A segment without words counts as one word with the probability of the segment.
    """
    weighted = total = 0.0
    for segment in transcript.segments:
        lengths = [(word.end - word.start, word.probability) for word in segment.words] or [
            (segment.end - segment.start, math.exp(min(segment.avg_logprob, 0.0)))
        ]
        for seconds, probability in lengths:
            weight = max(seconds, _MIN_WORD_SECONDS)
            total += weight
            weighted += 0.0 if segment.hallucination_reasons else weight * min(max(probability, 0.0), 1.0)
    total += max(transcript.untranscribed_speech_seconds, 0.0)
    return round(weighted / total, 3) if total else None


def _marked(segment: Segment, below: float) -> Segment:
    if all(word.low_confidence == (word.probability < below) for word in segment.words):
        return segment  # the usual case: copying all words of a batch costs more than comparing them
    return replace(
        segment, words=tuple(replace(word, low_confidence=word.probability < below) for word in segment.words)
    )
