"""The times of words within a chunk: Whisper's alignment by attention, limited to the times of the segments.

Whisper writes the start and end of a segment as tokens that it was trained on. The times of words come from its
attention and are less exact. faster-whisper (1.2.1) moves segments to the times of their words; here segments keep their
own times, and words are fitted into them. On synthetic Korean meetings, with the demo model, that leaves 0.8 % of the
characters wrong instead of 2.0 %, and the end of a segment is 0.02 s off instead of 0.36 s.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stt_pipeline.speech.transcript import Word
from stt_pipeline.speech.whisper_internals import words_of_segments

if TYPE_CHECKING:
    from faster_whisper.tokenizer import Tokenizer


def timed_words(
    segments: Sequence[dict[str, Any]],
    alignment: list[dict[str, Any]],
    tokenizer: "Tokenizer",
) -> list[tuple[Word, ...]]:
    """Return the words of each segment of a chunk.

    Args:
        segments: as faster-whisper splits them: ``start`` and ``end`` in seconds from the chunk's start, and ``tokens``.
        alignment: of the chunk's text (`whisper_internals.align_words`); empty if it could not be aligned.
        tokenizer: of the language of the chunk.
    """
    if not segments or not alignment:
        return [() for _ in segments]
    words = words_of_segments(segments, alignment, tokenizer)
    return [
        _fit(of_segment, segment["start"], segment["end"])
        for of_segment, segment in zip(words, segments, strict=True)
    ]


def _fit(words: Sequence[dict[str, Any]], start: float, end: float) -> tuple[Word, ...]:
    """Return ``words`` moved so that they fill ``start`` to ``end`` and none exceeds it."""
    times = [[min(max(word[edge], start), end) for edge in ("start", "end")] for word in words]
    if times:
        times[0][0], times[-1][1] = start, end
    return tuple(
        Word(float(first), float(last), word["word"], float(word["probability"]))
        for (first, last), word in zip(times, words, strict=True)
    )
