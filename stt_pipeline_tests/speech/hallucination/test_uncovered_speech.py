"""Speech without text."""

import pytest

from stt_pipeline.speech.hallucination import untranscribed_parts, untranscribed_speech
from stt_pipeline.speech.transcript import Segment, Word
from stt_pipeline_tests.speech.hallucination.chunks import QUIET, VOICE, said, sound

TEN_SECONDS = sound((4, VOICE), (2, QUIET), (4, VOICE))


def test_no_text() -> None:
    assert untranscribed_speech(TEN_SECONDS, []) == pytest.approx((8, 8), abs=0.1)
    assert untranscribed_speech(sound((5, QUIET)), []) == (0, 0)


def test_text_for_all_speech() -> None:
    text = "예산 안건부터 논의하겠습니다."
    assert untranscribed_speech(TEN_SECONDS, [said(0, 4, text), said(6, 10, text)])[1] == 0


def test_a_missing_sentence() -> None:
    assert untranscribed_speech(TEN_SECONDS, [said(0.2, 3.8, "예산 안건부터 논의하겠습니다.")])[
        1
    ] == pytest.approx(4, abs=0.1)


def test_the_place_of_a_missing_sentence() -> None:
    (part,) = untranscribed_parts(TEN_SECONDS, [said(0.2, 3.8, "예산 안건부터 논의하겠습니다.")])
    assert (part.start, part.end) == pytest.approx((6, 10), abs=0.1)
    assert (
        untranscribed_parts(TEN_SECONDS, [said(0, 4, "예산 안건부터"), said(6, 9.2, "논의하겠습니다.")]) == []
    )
    assert untranscribed_parts(sound((5, QUIET)), []) == []


def test_places_around_a_short_pause_are_one() -> None:
    speech = sound((2, VOICE), (0.5, QUIET), (2, VOICE), (3, QUIET), (2, VOICE))
    parts = untranscribed_parts(speech, [])
    assert [(one.start, one.end) for one in parts] == [
        pytest.approx((0, 4.5), abs=0.1),
        pytest.approx((7.5, 9.5), abs=0.1),
    ]


def test_a_long_word_covers_only_the_time_to_say_it() -> None:
    segment = Segment(0, 10, "네. 이상입니다.", (Word(0, 8, "네.", 0.9), Word(8, 10, " 이상입니다.", 0.9)))
    assert untranscribed_speech(TEN_SECONDS, [segment])[1] == pytest.approx(2.7 + 1.7, abs=0.1)


def test_a_segment_without_words_covers_its_time() -> None:
    assert untranscribed_speech(TEN_SECONDS, [Segment(0, 10, "네.")])[1] == 0


def test_a_segment_outside_is_harmless() -> None:
    assert untranscribed_speech(TEN_SECONDS, [said(-3, -1, "네."), said(20, 21, "네.")])[1] == pytest.approx(
        8, abs=0.1
    )
