from typing import Any

import pytest

from stt_pipeline.speech.word_times import AnchoredWords

Segments = list[list[dict[str, Any]]]


class RoughWords:
    """Does to segments what faster-whisper does: words by attention, and segments moved to them."""

    def __init__(self, *words: tuple[float, float]) -> None:
        self._words = words

    def add_word_timestamps(
        self,
        segments: Segments,
        tokenizer: Any,
        encoder_output: Any,
        num_frames: int,
        last_speech_timestamp: float,
    ) -> float:
        for segment in segments[0]:
            segment["words"] = [{"start": start, "end": end, "word": " x"} for start, end in self._words]
            if self._words:
                segment["start"], segment["end"] = self._words[0][0], self._words[-1][1]
        return 7.0


class Anchored(AnchoredWords, RoughWords):
    pass


def add_words(*words: tuple[float, float], frames: int = 1000) -> dict[str, Any]:
    segment = {"start": 1.0, "end": 3.0, "tokens": [5, 6]}
    Anchored(*words).add_word_timestamps([[segment]], None, None, frames, last_speech_timestamp=0.0)
    return segment


@pytest.mark.parametrize(
    ("rough", "fitted"),
    [
        ([(1.2, 2.0), (2.0, 2.9)], [(1.0, 2.0), (2.0, 3.0)]),
        ([(0.2, 2.0), (2.0, 3.9)], [(1.0, 2.0), (2.0, 3.0)]),
        ([(0.2, 0.5), (0.5, 0.8), (0.8, 2.0)], [(1.0, 1.0), (1.0, 1.0), (1.0, 3.0)]),
        ([(1.5, 1.6)], [(1.0, 3.0)]),
        ([], []),
    ],
)
def test_words_fill_their_segment(
    rough: list[tuple[float, float]], fitted: list[tuple[float, float]]
) -> None:
    segment = add_words(*rough)
    assert (segment["start"], segment["end"]) == (1.0, 3.0)
    assert [(word["start"], word["end"]) for word in segment["words"]] == fitted


def test_what_is_said_in_no_time_is_made_up() -> None:
    segment = add_words((1.0, 2.0), frames=1)
    assert segment["tokens"] == segment["words"] == []
