"""Chunks with known evidence, and models that write what a test needs."""

from collections.abc import Callable, Sequence

import numpy as np

from stt_pipeline.speech.hallucination import Attempt, AudioEvidence
from stt_pipeline.speech.transcript import Segment, Word
from stt_pipeline.speech.voice_activity import FRAME_SECONDS

VOICE, MUSIC, QUIET = 0.97, 0.6, 0.02
"""Probabilities of Silero VAD for speech, for music that it takes for speech by mistake, and for a quiet room."""


def sound(*parts: tuple[float, float], level: float = -25.0) -> AudioEvidence:
    """Return the evidence of parts of (seconds, probability of speech), all at one level in dBFS."""
    probabilities = np.concatenate(
        [np.full(round(seconds / FRAME_SECONDS), probability, np.float32) for seconds, probability in parts]
    )
    return AudioEvidence(probabilities, np.full(len(probabilities), level, np.float32))


def said(start: float, end: float, text: str, *, logprob: float = -0.3, no_speech: float = 0.0) -> Segment:
    """Return a segment with its words spread evenly."""
    words = text.split()
    step = (end - start) / max(1, len(words))
    return Segment(
        start,
        end,
        text,
        tuple(
            Word(start + n * step, start + (n + 1) * step, f" {word}", 0.9) for n, word in enumerate(words)
        ),
        avg_logprob=logprob,
        no_speech_prob=no_speech,
        language="ko",
    )


class Model:
    """Answers each attempt with the segments of ``answer``, and records the attempts."""

    def __init__(self, answer: Callable[[Attempt], Sequence[Segment]] = lambda _: ()) -> None:
        self._answer = answer
        self.asked: list[Attempt] = []

    def __call__(self, attempt: Attempt) -> Sequence[Segment]:
        self.asked.append(attempt)
        return self._answer(attempt)


def always(segments: Sequence[Segment]) -> Model:
    """Return a model that writes the same segments at each attempt."""
    return Model(lambda _: segments)
