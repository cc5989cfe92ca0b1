"""The fallback attempts: other ways to decode a time span, and their order. `examination` compares the results."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from stt_pipeline.speech.hallucination.audio_evidence import AudioEvidence
from stt_pipeline.speech.transcript import Segment

# Tokens. The usual three come twice in 67 to 100 % of all half minutes of normal Korean ("하겠습니다."), ten in 3 %
# (samples and invented meetings; the demo model's tokens, half a syllable to two syllables each).
_NO_REPEAT_NGRAM_SIZE = 10

# Two of Whisper's five temperatures (0.2 to 1.0): each decodes the whole span once more
_TEMPERATURES = (0.4, 0.8)

_MIN_CUT = 2.0  # seconds; half of less is shorter than a sentence


@dataclass(frozen=True, slots=True)
class Attempt:
    """How to decode a part of a chunk again.

    Attributes:
        start: seconds from the chunk's start.
        end: seconds from the chunk's start; None is the chunk's end.
        hotwords: whether the prompt has the recording's hotwords.
        no_repeat_ngram_size: no sequence of this many tokens may come twice; 0 allows all.
        temperature: 0 takes the most likely text; above 0 tokens are sampled.
    """

    start: float = 0.0
    end: float | None = None
    hotwords: bool = True
    no_repeat_ngram_size: int = 0
    temperature: float = 0.0


Decode = Callable[[Attempt], Sequence[Segment]]
"""Decodes a part of the chunk alone; times are seconds from the chunk's start."""


def fallback_attempts(
    start: float, end: float, evidence: AudioEvidence, *, hotwords: bool, loops: bool
) -> Iterator[tuple[Attempt, ...]]:
    """Yield the steps for ``start`` to ``end`` in order; the attempts of one step together give its text.

    Deterministic steps come first, because sampling gives another text each time.

    Args:
        start: seconds from the chunk's start.
        end: seconds from the chunk's start.
        evidence: of the chunk.
        hotwords: whether the first prompt had hotwords.
        loops: whether the text repeats itself; otherwise forbidding repetition does not help.
    """
    until = None if end >= evidence.seconds else end
    if hotwords or start > 0 or until is not None:  # otherwise it is the first decoding again
        yield (Attempt(start, until, hotwords=False),)
    if end - start >= _MIN_CUT:
        cut = evidence.quietest_time(start, end)
        yield (Attempt(start, cut, hotwords=False), Attempt(cut, until, hotwords=False))
    if loops:
        yield (Attempt(start, until, hotwords=False, no_repeat_ngram_size=_NO_REPEAT_NGRAM_SIZE),)
    for temperature in _TEMPERATURES:
        yield (Attempt(start, until, hotwords=False, temperature=temperature),)
