"""Numbers are compared by value, in any spelling."""

import pytest

from stt_pipeline.speech.evaluation import (
    ErrorRate,
    character_error_rate,
    character_error_rate_numbers_alike,
    number_error_rate,
)
from stt_pipeline.speech.evaluation.numbers import numbers_alike, numbers_of


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("이백만 원", "2000000 원"),
        ("200만 원", "2000000 원"),
        ("2,000,000원", "2000000원"),
        ("5천만 원과 3억 5천만 원", "50000000 원과 350000000 원"),
        ("3만 2500원", "32500원"),
        ("2.5억", "250000000"),
        ("200 만 원, 3 만나서", "2000000 원, 3 만나서"),
        ("오후 세 시 십오 분", "오후 3시 15분"),
        ("삼월 십오일", "3월 15일"),
        ("3시 5분에 3.50%", "3시 5분에 3.5%"),
        ("팔십 퍼센트", "80%"),
        ("010 번호", "010 번호"),
        ("이사님은 일을", "이사님은 일을"),
        ("at 3 pm, 4 people", "at 3 pm, 4 people"),
    ],
)
def test_numbers_in_one_spelling(text: str, alike: str) -> None:
    assert numbers_alike(text) == alike


def test_numbers_in_order() -> None:
    assert numbers_of("3월 15일, 이백만 원의 2.5%.") == ["3", "15", "2000000", "2.5"]


def test_errors_in_numbers_have_their_own_rate() -> None:
    reference = "3월 15일에 200만 원을 냅니다"
    assert number_error_rate(reference, "삼월 십오일에 이백만 원을 냅니다") == ErrorRate(0, 3)
    assert number_error_rate(reference, "3월 16일에 200만 원을 내었습니다") == ErrorRate(1, 3)
    assert number_error_rate(reference, "3월에 냅니다") == ErrorRate(2, 3)
    assert number_error_rate("네", "3월") == ErrorRate(1, 0)
    assert number_error_rate("네", "네") == ErrorRate(0, 0)


def test_another_spelling_of_a_number_is_not_an_error_where_numbers_are_alike() -> None:
    # 삼 and 십오 for 3 and 15: one character changed, two changed
    assert character_error_rate("3월 15일", "삼월 십오일") == ErrorRate(3, 5)
    assert character_error_rate_numbers_alike("3월 15일", "삼월 십오일") == ErrorRate(0, 5)
    assert character_error_rate_numbers_alike("3월 15일", "삼월 십육일") == ErrorRate(1, 5)
