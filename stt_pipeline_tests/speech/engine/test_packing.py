"""Times of a packed chunk and of its recording."""

import numpy as np
import pytest

from stt_pipeline.speech.engine.packing import Chunk, Excerpt
from stt_pipeline.speech.transcript import Segment, TimeSpan, Word
from stt_pipeline.speech.voice_activity import FRAME
from stt_pipeline_tests.speech.engine.sounds import RATE


def chunk(*pieces: tuple[float, float]) -> Chunk:
    """Return a chunk of pieces that start at a second of the recording and last so many seconds, in whole frames."""
    placed = tuple(
        Excerpt(round(start * RATE) // FRAME * FRAME, round(seconds * RATE) // FRAME * FRAME)
        for start, seconds in pieces
    )
    length = sum(piece.length for piece in placed)
    return Chunk(0, placed, np.arange(length, dtype=np.float32), np.ones(length // FRAME, np.float32))


def segment(*words: tuple[float, float]) -> Segment:
    return Segment(words[0][0], words[-1][1], "a b", words=tuple(Word(s, e, " a", 0.5) for s, e in words))


PACKED = chunk((10.24, 2.56), (100.48, 5.12))
"""From 10.24 s to 12.8 s and from 100.48 s to 105.6 s of the recording."""


def times(placed: Segment) -> list[tuple[float, float]]:
    return [(round(word.start, 3), round(word.end, 3)) for word in placed.words]


@pytest.mark.parametrize(
    ("within", "expected"),
    [
        ((0.0, 1.0), (10.24, 11.24)),
        ((2.0, 2.56), (12.24, 12.8)),
        ((2.56, 3.0), (100.48, 100.92)),
        ((7.0, 7.68), (104.92, 105.6)),
        ((2.0, 2.7), (12.24, 12.8)),  # more of it is before the pause
        ((2.4, 3.4), (100.48, 101.32)),  # more of it is behind the pause
    ],
)
def test_no_word_lasts_over_a_pause_that_was_cut_out(
    within: tuple[float, float], expected: tuple[float, float]
) -> None:
    (found,) = times(PACKED.placed(segment(within)))
    assert found == pytest.approx(expected)


def test_a_segment_starts_and_ends_with_its_words() -> None:
    placed = PACKED.placed(segment((0.0, 1.0), (1.0, 2.5), (2.6, 4.0)))
    assert times(placed) == [(10.24, 11.24), (11.24, 12.74), (100.52, 101.92)]
    assert (placed.start, placed.end) == (placed.words[0].start, placed.words[-1].end)


def test_a_segment_without_words_keeps_both_sides_of_a_pause() -> None:
    placed = PACKED.placed(Segment(0.5, 2.56, "a"))
    assert (placed.start, placed.end) == pytest.approx((10.74, 12.8))
    placed = PACKED.placed(Segment(2.56, 3.56, "a"))
    assert (placed.start, placed.end) == pytest.approx((100.48, 101.48))


def test_a_time_span_over_a_pause_is_two() -> None:
    assert PACKED.placed_span(TimeSpan(1.0, 2.0)) == [TimeSpan(11.24, 12.24)]
    assert PACKED.placed_span(TimeSpan(2.06, 3.56)) == [TimeSpan(12.3, 12.8), TimeSpan(100.48, 101.48)]


def test_a_part_has_the_pieces_of_its_time() -> None:
    assert PACKED.part(0.0, PACKED.seconds).pieces == PACKED.pieces
    part = PACKED.part(1.28, 3.84)
    assert [(one.start / RATE, one.end / RATE) for one in part.pieces] == [(11.52, 12.8), (100.48, 101.76)]
    assert part.samples[0] == 1.28 * RATE
    assert PACKED.part(2.56, 7.68).pieces == PACKED.pieces[1:]
    assert PACKED.part(7.68, 7.68).pieces == ()
    part = PACKED.part(1.28, 3.84).part(1.28, 2.56)
    assert [(one.start / RATE, one.end / RATE) for one in part.pieces] == [(100.48, 101.76)]
