"""Loops of any length are found, and normal text of any length has none."""

import pytest

from stt_pipeline.speech.hallucination.reasons import repeated_texts
from stt_pipeline.speech.hallucination.repetition import (
    compresses_too_well,
    compression_ratio,
    letters,
    loops,
)
from stt_pipeline_tests.speech.hallucination import normal_text

UNITS = [
    "시청해 주셔서 감사합니다. ",
    "네, 알겠습니다. ",
    "그래서 저희가 생각한 대안은 두 가지인데 하나는 결제 기능을 빼고 여는 것입니다. ",
    "Thanks for watching! ",
    "So we have to check the plan again and then we will see. ",
    "아 ",
    "ㅋㅋ",
]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("times", [12, 30])
def test_a_loop_is_found(unit: str, times: int) -> None:
    text = letters(unit * times)
    (first, *_) = loops(text)
    assert text[first.start : first.end] == text
    assert first.times == times * len(letters(unit)) // (first.end // first.times)
    assert repeated_texts([unit * times]) == {0}
    if len(unit) > 5:
        assert compresses_too_well(unit * times)


def test_a_loop_within_normal_text() -> None:
    text = letters(
        normal_text.DENSE_KOREAN[:120] + "감사합니다 여러분 " * 5 + normal_text.DENSE_KOREAN[120:200]
    )
    assert {text[loop.start : loop.start + 8] for loop in loops(text)} >= {"감사합니다여러분"}


@pytest.mark.parametrize(
    ("unit", "most"), [("네 ", 9), ("아니 ", 9), ("맞아요 ", 5), ("안녕하세요 ", 5), ("잠시만요 네 ", 5)]
)
def test_normal_repetition(unit: str, most: int) -> None:
    assert not loops(letters(unit * most))
    assert not compresses_too_well(unit * most)


def test_normal_text_of_many_lengths_has_none() -> None:
    substrings = list(normal_text.substrings())
    assert len(substrings) > 1500
    assert [text for text in substrings if compresses_too_well(text)] == []
    assert [text for text in substrings if loops(letters(text))] == []


def test_meetings_in_one_piece_have_none() -> None:
    whole = letters(" ".join(normal_text.sentences()))
    assert len(whole) > 8_000
    assert loops(whole) == []


def test_the_ratio_is_whisper_s() -> None:
    from faster_whisper.transcribe import get_compression_ratio

    for text in normal_text.DENSE_KOREAN, normal_text.ENGLISH, "네":
        assert compression_ratio(text) == get_compression_ratio(text)
    assert compression_ratio("") == 0


def test_only_the_texts_of_the_loop_are_found() -> None:
    texts = ["예산 안건부터 논의하겠습니다.", *["다음 영상에서 만나요."] * 4, "이상입니다."]
    assert repeated_texts(texts) == {1, 2, 3, 4}
    assert repeated_texts(
        ["가나다라 마바사 아자", "차카 가나다라 마바사", "아자차카 가나다라 마바사 아자차카", "끝"]
    ) == {0, 1, 2}
    assert repeated_texts([]) == set()
