"""Values for the slots of templates: people, documents, dates, amounts, in Korean and in English.

Each slot draws a :class:`Phrase` from a random generator. The order of the draws defines the corpus: with another order, the
list of the shipped model's training sentences would be wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tools.demo_model.korean import NATIVE_NUMBERS, sino_number


@dataclass(frozen=True, slots=True)
class Phrase:
    """A piece of text as it is written ("12월 3일") and as it is spoken ("십이월 삼일")."""

    written: str
    spoken: str


Slot = Callable[[Random], Phrase]

PEOPLE = (
    "김 과장", "이 대리", "박 부장", "최 팀장", "정 사원", "강 차장", "조 주임", "윤 이사", "장 연구원", "임 매니저",
)  # fmt: skip
DOCUMENTS = (
    "예산안", "보고서", "견적서", "계획서", "회의록", "제안서", "계약서", "발표 자료", "시험 결과", "일정표", "디자인 시안",
    "고객 명단", "설문 결과", "매출 자료", "교육 자료", "점검표",
)  # fmt: skip
TOPICS = (
    "예산", "일정", "채용", "마케팅", "보안 점검", "품질 관리", "직원 교육", "신제품 출시", "고객 지원", "사무실 이전",
    "서버 이전", "홈페이지 개편", "앱 업데이트", "협력사 계약", "연말 행사", "워크숍 준비",
)  # fmt: skip
TEAMS = ("개발팀", "영업팀", "기획팀", "디자인팀", "인사팀", "재무팀", "운영팀")
PLACES = ("대회의실", "소회의실", "본사", "온라인", "삼층 회의실", "부산 지사")
WEEKDAYS = ("월요일", "화요일", "수요일", "목요일", "금요일")

_MONTHS_READ_IRREGULARLY = {6: "유월", 10: "시월"}
_PERCENTAGES = (3, 5, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90)
_TEN_THOUSANDS = (50, 80, 100, 150, 200, 250, 300, 400, 500, 700, 800)
_TEN_MILLIONS = (1, 2, 3, 5, 7, 8)
_CASES = (2, 3, 4, 5, 10, 12, 15, 20, 30, 50)
_MORNING, _OFFICE_HOURS = (9, 10, 11), (9, 10, 11, 1, 2, 3, 4, 5, 6)
_MINUTES = (0, 0, 0, 30, 10, 20, 40, 50)  # most times are full hours


def plain(text: str) -> Phrase:
    """Return a phrase that is spoken as it is written."""
    return Phrase(text, text)


def _one_of(choices: Sequence[str]) -> Slot:
    return lambda rng: plain(rng.choice(choices))


def month_phrase(month: int) -> Phrase:
    """Return a month, 1 to 12; June and October are read irregularly."""
    return Phrase(f"{month}월", _MONTHS_READ_IRREGULARLY.get(month, f"{sino_number(month)}월"))


def date_phrase(month: int, day: int) -> Phrase:
    """Return a day of the year, such as 12월 3일."""
    name = month_phrase(month)
    return Phrase(f"{name.written} {day}일", f"{name.spoken} {sino_number(day)}일")


def percentage_phrase(percent: int) -> Phrase:
    """Return a percentage."""
    return Phrase(f"{percent}%", f"{sino_number(percent)} 퍼센트")


def _month(rng: Random) -> Phrase:
    return month_phrase(rng.randint(1, 12))


def _date(rng: Random) -> Phrase:
    return date_phrase(rng.randint(1, 12), rng.randint(1, 31))


def _time(rng: Random) -> Phrase:
    hour = rng.choice(_OFFICE_HOURS)
    half = "오전" if hour in _MORNING else "오후"
    written, spoken = f"{half} {hour}시", f"{half} {NATIVE_NUMBERS[hour]}시"
    if minutes := rng.choice(_MINUTES):
        written, spoken = f"{written} {minutes}분", f"{spoken} {sino_number(minutes)}분"
    return Phrase(written, spoken)


def _day(rng: Random) -> Phrase:
    kind = rng.random()
    if kind < 0.3:
        return plain(rng.choice(WEEKDAYS))
    if kind < 0.5:
        return plain(rng.choice(("이번 주", "다음 주")) + " " + rng.choice(WEEKDAYS))
    if kind < 0.6:
        return plain(rng.choice(("내일", "모레", "이번 달 말", "다음 달 초")))
    return _date(rng)


def _percentage(rng: Random) -> Phrase:
    return percentage_phrase(rng.choice(_PERCENTAGES))


def _money(rng: Random) -> Phrase:
    if rng.random() < 0.5:
        amount, unit = rng.choice(_TEN_THOUSANDS), "만"
    else:
        amount, unit = rng.choice(_TEN_MILLIONS), "천만"
    return Phrase(f"{amount}{unit} 원", f"{sino_number(amount)}{unit}원")


def _headcount(rng: Random) -> Phrase:
    number = rng.randint(2, 10)
    return Phrase(f"{number}명", f"{NATIVE_NUMBERS[number]}명")


def _cases(rng: Random) -> Phrase:
    number = rng.choice(_CASES)
    return Phrase(f"{number}건", f"{sino_number(number)}건")


def _digit(rng: Random) -> Phrase:
    number = rng.randint(1, 9)
    return Phrase(f"{number}", sino_number(number))


def _english_percentage(rng: Random) -> Phrase:
    number = rng.choice((5, 10, 15, 20, 30, 50))
    return Phrase(f"{number}%", f"{number} percent")


def _english_time(rng: Random) -> Phrase:
    hour = rng.choice((9, 10, 11, 1, 2, 3, 4, 5))
    half = "AM" if hour > 6 else "PM"
    return Phrase(f"{hour} {half}", f"{hour} {half[0]} M")


SLOTS: Mapping[str, Mapping[str, Slot]] = {
    "ko": {
        "P": _one_of(PEOPLE),
        "D": _one_of(DOCUMENTS),
        "T": _one_of(TOPICS),
        "M": _one_of(TEAMS),
        "L": _one_of(PLACES),
        "wd": _one_of(WEEKDAYS),
        "mon": _month,
        "date": _date,
        "time": _time,
        "day": _day,
        "pct": _percentage,
        "won": _money,
        "cnt": _headcount,
        "cases": _cases,
        "n": _digit,
    },
    "en": {
        "P": _one_of(("Kim", "Lee", "Park", "Anna", "David", "Maria", "Tom")),
        "D": _one_of(
            ("budget", "report", "proposal", "contract", "schedule", "slides", "test results", "survey")
        ),
        "T": _one_of(
            (
                "marketing",
                "hiring",
                "security",
                "the product launch",
                "the server migration",
                "customer support",
                "the workshop",
            )
        ),
        "W": _one_of(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")),
        "pct": _english_percentage,
        "time": _english_time,
    },
}
"""By language and name of the slot in the templates: the function that draws a value."""
