"""Numbers next to a unit or a date become digits; words that look like numbers stay."""

import pytest

from stt_pipeline.speech.korean.numbers import number_edits
from tools.demo_model.slots import date_phrase, month_phrase, percentage_phrase


def in_digits(text: str) -> str:
    for edit in reversed(list(number_edits(text))):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("삼월 십오일에 만나서", "3월 15일에 만나서"),
        ("3월 십오일까지", "3월 15일까지"),
        ("삼월 이십일일", "3월 21일"),
        ("이천이십육년 십이월 삼일", "2026년 12월 3일"),
        ("이월 초까지", "2월 초까지"),
        ("이십삼일에 봅시다", "23일에 봅시다"),
        ("이백만 원이 부족합니다", "200만 원이 부족합니다"),
        ("이백만원입니다", "200만원입니다"),
        ("삼억 오천만 원", "3억 5천만 원"),
        ("일억이천삼백만 원", "1억 2300만 원"),
        ("삼만이천오백 원", "3만 2500원"),
        ("세 시 반에 뵙겠습니다", "3시 반에 뵙겠습니다"),
        ("오전 열한 시 이십오 분", "오전 11시 25분"),
        ("오후 네 시에", "오후 4시에"),
        ("회의는 두 시간 정도", "회의는 2시간 정도"),
        ("이십 분간 쉽니다", "20분간 쉽니다"),
        ("스물다섯 명이 왔습니다", "25명이 왔습니다"),
        ("참석자는 네 명입니다", "참석자는 4명입니다"),
        ("백이십 명", "120명"),
        ("십오 건을 처리했습니다", "15건을 처리했습니다"),
        ("팔십 퍼센트 진행", "80% 진행"),
        ("삼 점 오 퍼센트로", "3.5%로"),
        ("80 퍼센트", "80%"),
        ("육 개월 뒤", "6개월 뒤"),
        ("세 시 월말 보고", "3시 월말 보고"),
    ],
)
def test_numbers_with_a_unit(spoken: str, written: str) -> None:
    assert in_digits(spoken) == written


@pytest.mark.parametrize(
    "text",
    [
        "이사님께 보고했습니다",
        "사무실 이사를 준비합니다",
        "일을 마치고 만나서 이야기합시다",
        "만일을 위해 백만 대군처럼",
        "네 시작하겠습니다",
        "네 시간이 없습니다",
        "네, 건의드립니다",
        "네 명확합니다",
        "이 분은 저희 팀장님입니다",
        "이 건은 제가 이 명단으로",
        "이 프로 선수는",
        "한시도 쉬지 않고 한 명도 빠짐없이",
        "예산을 이월하기로 했습니다",
        "이월 금액을 확인해 주세요",
        "다음 주 일 월요일에",
        "이십일에 뵙겠습니다",  # the 21st, or the 20th
        "수백만 원 만 원 천 원",
        "백만 원고료",
        "천년의 만년필",
        "첫 번째 두 번째 안건",
        "공일공 이사 삼사",
        "오 분명히 그렇습니다",
    ],
)
def test_words_that_look_like_numbers(text: str) -> None:
    assert in_digits(text) == text


def test_every_date_and_percentage_of_a_year() -> None:
    phrases = [date_phrase(month, day) for month in range(1, 13) for day in range(1, 32)]
    phrases += [percentage_phrase(percent) for percent in range(1, 1000)]
    phrases += [month_phrase(month) for month in range(3, 13)]  # 일월 and 이월 are words
    wrong = {
        phrase.spoken: found for phrase in phrases if (found := in_digits(phrase.spoken)) != phrase.written
    }
    assert wrong == {}
