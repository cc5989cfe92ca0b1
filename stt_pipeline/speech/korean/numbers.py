"""Writes Korean numbers in digits, only where a unit or a date shows that they are numbers. Text in, edits out.

이사, 일, 만 and 네 are words too. So a number in words needs a unit, only particles may follow the unit in its eojeol, and
units that are words themselves need more evidence. Ambiguous text is not changed.
"""

import re
from collections.abc import Iterator
from typing import Final

from stt_pipeline.speech.korean.numerals import (
    NATIVE,
    NATIVE_PATTERN,
    SINO,
    sino,
    sino_value,
    spelled_digits,
)
from stt_pipeline.speech.korean.particles import ONLY_PARTICLES
from stt_pipeline.speech.korean.timed_text import Edit

_ENDS: Final = rf"(?=(?:{ONLY_PARTICLES})(?!\w))"
_MORE: Final = "(?=(?:간|째|가량|정도|쯤|전|후|뒤|이내|이상|이하|씩)?(?:" + ONLY_PARTICLES + r")(?!\w))"
_BEGINS: Final = r"(?<!\w)"

_MONTHS: Final = {
    "일": 1, "이": 2, "삼": 3, "사": 4, "오": 5, "유": 6, "육": 6, "칠": 7, "팔": 8, "구": 9, "시": 10, "십": 10,
    "십일": 11, "십이": 12,
}  # fmt: skip
_MONTH: Final = "십이|십일|일|이|삼|사|오|유|육|칠|팔|구|시|십"
_DAY: Final = "삼십일|삼십|이십[일이삼사오육칠팔구]?|십[일이삼사오육칠팔구]?|[일이삼사오육칠팔구]"

_YEAR: Final = re.compile(rf"{_BEGINS}(천[가-힣]{{0,7}}|이천[가-힣]{{0,6}}|[가-힣]{{2,7}})(\s?)년{_MORE}")
# 이월 also means a carry-over: a day or a part of the month must follow it
_MONTH_AND_DAY: Final = re.compile(rf"{_BEGINS}({_MONTH}|\d{{1,2}})(\s?)월(\s?)({_DAY})(\s?)일{_MORE}")
_BARE_MONTH: Final = re.compile(
    rf"{_BEGINS}(십이|십일|삼|사|오|육|칠|팔|구|십|(?:유|시)(?=월)|(?:일|이)(?=\s?월(?:\s?(?:초|말|중순)|까지|부터)))\s?월"
    rf"(?=(?:\s?(?:초|말|중순|달))?(?:{ONLY_PARTICLES})(?!\w))"
)
# 이십일 is the 21st or 20 days; with a digit of the day before 일 it is unambiguous
_BARE_DAY: Final = re.compile(rf"{_BEGINS}((?:이|삼)?십[일이삼사오육칠팔구])일{_ENDS}")

_HOUR: Final = "열두|열한|열|아홉|여덟|일곱|여섯|다섯|네|세|두|한"
# 한시 also means a moment, and 네 at the beginning of a sentence means "yes": these need the half of the day before them, or
# minutes after them
_CLOCK: Final = re.compile(
    rf"{_BEGINS}(?P<half>(?:오전|오후|새벽|아침|낮|저녁|밤)\s?)?(?P<hour>{_HOUR})\s?시"
    rf"(?:(?P<gap>\s?)(?P<minute>{_DAY}|사십[가-힣]?|오십[가-힣]?)\s?분)?"
    rf"(?P<after>\s?반)?(?=(?:쯤|경|정각)?(?:{ONLY_PARTICLES})(?!\w))"
)
_HOURS_LONG: Final = re.compile(rf"{_BEGINS}({NATIVE_PATTERN})\s?시간{_MORE}")
# without 한: "한 명도", "한 개의" mean "any" and "a" more often than "one"
_PEOPLE_AND_THINGS: Final = re.compile(rf"{_BEGINS}(?!한\s?)({NATIVE_PATTERN})\s?(명|건|개|살){_ENDS}")

_SINO_AND_UNIT: Final = re.compile(
    rf"{_BEGINS}(?P<number>{SINO}?)(?P<point>\s?점\s?(?P<decimals>[영공일이삼사오육칠팔구]{{1,3}}))?(?P<gap>\s?)"
    rf"(?P<unit>퍼센트|프로|개월|분|초|명|건|개|원|달러|유로|킬로미터|킬로그램|미터|센티미터|밀리미터|그램){_MORE}"
)
_PER_CENT: Final = re.compile(r"(?<=\d)\s?퍼센트")

_RARELY_SINO: Final = frozenset(("프로", "분", "초", "명", "건", "개"))
"""Small numbers before these units are native ones, so 이 분 and 이건 mean "this person" and "this thing"."""

_SAFE_UNITS: Final = frozenset(("퍼센트", "개월", "킬로미터", "킬로그램", "센티미터", "밀리미터"))
"""Unambiguous units: even a single syllable before them is a number. Before other units it may be 이 ("this")."""

_ATTACHED: Final = frozenset(("퍼센트", "프로", "개월", "분", "초", "명", "건", "개"))
"""Units without a space after the digits, as in the samples; money keeps the space of the model's text."""


def number_edits(text: str) -> Iterator[Edit]:
    """Yield the edits that write the numbers of ``text`` in digits, in order and without overlap."""
    last = 0
    for edit in sorted(_candidates(text), key=lambda edit: (edit.start, -edit.end)):
        if edit.start >= last and text[edit.start : edit.end] != edit.text:
            yield edit
            last = edit.end


def _candidates(text: str) -> Iterator[Edit]:
    yield from _dates(text)
    yield from _clock_times(text)
    yield from _counted(text)
    yield from _measured(text)
    for match in _PER_CENT.finditer(text):
        yield Edit(match.start(), match.end(), "%")


def _dates(text: str) -> Iterator[Edit]:
    for match in _YEAR.finditer(text):
        value = sino_value(match.group(1))
        if value is not None and match.group(1)[-1] not in "백천":
            yield Edit(match.start(1), match.end(2), str(value))
    for match in _MONTH_AND_DAY.finditer(text):
        month = match.group(1)
        yield Edit(match.start(1), match.end(2), month if month.isdigit() else str(_MONTHS[month]))
        yield Edit(match.start(4), match.end(5), str(sino_value(match.group(4))))
    for match in _BARE_MONTH.finditer(text):
        yield Edit(match.start(1), match.end(1), str(_MONTHS[match.group(1)]))
    for match in _BARE_DAY.finditer(text):
        yield Edit(match.start(1), match.end(1), str(sino_value(match.group(1))))


def _clock_times(text: str) -> Iterator[Edit]:
    for match in _CLOCK.finditer(text):
        hour, minute = match.group("hour"), match.group("minute")
        is_clear = match.group("half") or minute or match.group("after")
        if not is_clear and (hour == "한" or _is_yes(text, match.start("hour"), hour)):
            continue
        yield Edit(*_with_gap(text, *match.span("hour")), str(NATIVE[hour]))
        if minute and (value := sino_value(minute)):
            yield Edit(*_with_gap(text, *match.span("minute")), str(value))
    for match in _HOURS_LONG.finditer(text):
        if not _is_yes(text, match.start(), match.group(1)):
            yield Edit(*_with_gap(text, *match.span(1)), str(NATIVE[match.group(1)]))


def _counted(text: str) -> Iterator[Edit]:
    for match in _PEOPLE_AND_THINGS.finditer(text):
        if not _is_yes(text, match.start(), match.group(1)):
            yield Edit(*_with_gap(text, *match.span(1)), str(NATIVE[match.group(1)]))


def _measured(text: str) -> Iterator[Edit]:
    for match in _SINO_AND_UNIT.finditer(text):
        words, unit = match.group("number").rstrip(), match.group("unit")
        is_syllable = len(words) == 1 and words != "십"
        if not words or (is_syllable and unit not in _SAFE_UNITS):
            continue
        if unit in _RARELY_SINO and not re.search("[십백천]", words):
            continue
        number = sino(words)
        if number is None:
            continue
        start, end = match.start("number"), match.start("number") + len(words)
        if match.group("decimals"):
            number, end = f"{number}.{spelled_digits(match.group('decimals'))}", match.end("decimals")
        if unit in ("퍼센트", "프로"):
            yield Edit(start, end, number)
            yield Edit(end, match.end("unit"), "%")
        elif unit in _ATTACHED or (unit == "원" and number[-1].isdigit()):
            yield Edit(start, match.start("unit"), number)
        else:
            yield Edit(start, end, number)


def _with_gap(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span of a number with the space before its unit."""
    return start, end + (text[end : end + 1] == " ")


def _is_yes(text: str, start: int, word: str) -> bool:
    """Return whether ``word`` may be 네 in the sense of "yes", because no word is before it."""
    return word == "네" and re.search(r"\w\s+$", text[:start]) is None
