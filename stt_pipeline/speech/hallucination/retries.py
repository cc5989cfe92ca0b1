"""In which other ways a stretch can be decoded, and in which order. What comes of them is for `examination`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from stt_pipeline.speech.hallucination.audio_evidence import AudioEvidence
from stt_pipeline.speech.transcript import Segment

# Tokens. The three that are often advised come twice in 67 to 100 % of all half minutes of honest Korean ("하겠습니다."),
# ten in 3 % (samples and made-up meetings; the demo model's tokens, half a syllable to two syllables each).
_NGRAM = 10

# Two of Whisper's five (0.2 to 1.0): each costs as much as the whole stretch, and what is drawn at random comes last.
_TEMPERATURES = (0.4, 0.8)

_SHORTEST_CUT = 2.0  # seconds; the halves of less have no sentence in them


@dataclass(frozen=True, slots=True)
class Attempt:
    """How to decode a part of a chunk again.

    Attributes:
        start: seconds from the chunk's start.
        end: where the part ends; None is the chunk's end.
        hotwords: whether the recording's hotwords are shown to the model.
        no_repeat_ngram_size: tokens that may not come twice in the same order; 0 allows all.
        temperature: 0 takes the likeliest text, more draws at random.
    """

    start: float = 0.0
    end: float | None = None
    hotwords: bool = True
    no_repeat_ngram_size: int = 0
    temperature: float = 0.0


Decode = Callable[[Attempt], Sequence[Segment]]
"""Decodes that part of the chunk alone; times are seconds from the chunk's start."""


def fallback_attempts(
    start: float, end: float, evidence: AudioEvidence, *, hotwords: bool, loops: bool
) -> Iterator[tuple[Attempt, ...]]:
    """Yield what to try in turn for ``start`` to ``end``; the attempts of one step together make its text.

    Deterministic steps come first, since one that is drawn at random gives another text each time.

    Args:
        hotwords: whether they were shown to the model before.
        loops: whether the text goes round in circles; else forbidding it to does not help.
    """
    until = None if end >= evidence.seconds else end
    if hotwords or start > 0 or until is not None:  # else it would be the same once more
        yield (Attempt(start, until, hotwords=False),)
    if end - start >= _SHORTEST_CUT:
        cut = evidence.quietest(start, end)
        yield (Attempt(start, cut, hotwords=False), Attempt(cut, until, hotwords=False))
    if loops:
        yield (Attempt(start, until, hotwords=False, no_repeat_ngram_size=_NGRAM),)
    for temperature in _TEMPERATURES:
        yield (Attempt(start, until, hotwords=False, temperature=temperature),)
