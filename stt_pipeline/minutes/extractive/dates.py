"""Finds Korean and English dates as spoken, and selects the due date. Dates are not resolved to a calendar."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["until", "at", "bare", "from", "to"]

_NUMBER = r"(?:\d{1,2}|[일이삼사오육칠팔구십]{1,3})"
_NATIVE = r"(?:한|두|세|네|다섯|여섯|일곱|여덟|아홉|열한|열두|열)"
_WEEKDAY = r"[월화수목금토일]요일"
_WEEK = r"(?:이번|다다음|다음|지난|돌아오는|오는|차|금|내)\s?주|다다음주|다음주|이번주|차주|금주|내주|지난주"
_PART = r"(?:\s?(?:초반|중반|초순|중순|하순|초|말))"
_TIME = (
    rf"(?:(?:오전|오후|아침|저녁|밤)\s?)?(?:\d{{1,2}}|{_NATIVE})\s?시(?:\s?(?:\d{{1,2}}|{_NUMBER})\s?분|\s?반)?"
    r"|정오|자정|오전|오후|아침|저녁|밤|점심\s?전|퇴근\s?전"
)
_DAY = "|".join(
    (
        rf"(?:(?:\d{{4}}|내|올해|금)년?\s)?(?:(?:유|시|{_NUMBER})월|이번\s?달|이달|다음\s?달)\s?{_NUMBER}일",
        rf"(?:(?:{_NUMBER}월|이번\s?달|다음\s?달)\s?)?(?:첫째|둘째|셋째|넷째|마지막)\s?주(?:\s?{_WEEKDAY})?",
        rf"(?:(?:{_WEEK})\s?)?{_WEEKDAY}",
        rf"(?:{_WEEK}){_PART}?(?!\s?간|일)",
        rf"(?:이번|다다음|다음|지난|매)\s?(?:달|월|분기|학기){_PART}?|이달{_PART}?",
        rf"(?:{_NUMBER}월|(?:{_NUMBER}|사)\s?분기){_PART}",
        rf"(?:올해|내년|금년){_PART}",
        r"(?:월|연|분기|주|학기|반기)\s?말(?!씀)|연내|상반기|하반기",
        r"내일모레|오늘|내일|모레|글피",
        rf"(?:\d+|{_NUMBER}|{_NATIVE}|일주)\s?(?:일|주일|주|개월|달|시간)?\s?(?:이내|안|내|뒤|후)(?=에|로|까지|으로|\s|$)",
        r"다음\s?(?:회의|미팅)(?=\s?(?:전|때)?까지|\s?전)",
        r"(?<![\d월])\d{1,2}일(?!\s?(?:간|동안|정도|이상|이하|만에))",
    )
)
_KOREAN: Final = re.compile(
    rf"(?<![가-힣\d])((?:{_DAY})(?:\s?(?:{_TIME}))?(?:\s?(?:이?전|중))?|(?:{_TIME})(?=\s?까지))"
)
_TAIL: Final = re.compile(
    r"\s?(쯤까지|쯤에|쯤|까지|중으로|안으로|내로|안에|이내로|이내에|전에|으로|로|부터|에서|에는|에|이후|은|는)?"
)

_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?"
)
_EN_DAY = (
    rf"(?:(?:next|this|coming)\s+)?(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day(?:\s+(?:morning|afternoon|evening))?"
    rf"|{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?|(?:the\s+)?\d{{1,2}}(?:st|nd|rd|th)?(?:\s+of\s+{_MONTH})?(?!\s*(?:%|percent|people))"
    r"|today|tonight|tomorrow|(?:the\s+)?(?:end|middle|beginning)\s+of\s+(?:the|this|next)\s+(?:day|week|month|quarter|year)"
    r"|(?:next|this)\s+(?:week|month|quarter)|the\s+next\s+meeting|noon"
)
_EN_TIME = r"\s+(?:at\s+)?\d{1,2}(?::\d{2})?\s?(?:AM|PM|a\.m\.|p\.m\.|o'clock)"
_ENGLISH: Final = re.compile(
    rf"\b(?:(by|before|until|no later than|on|within)\s+)?((?:{_EN_DAY})(?:{_EN_TIME})?)(?!\w)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class DateMention:
    """A date as spoken, without its particle; ``start`` and ``end`` span it with the particle.

    ``role``: "until" (금요일까지, by Friday), "at" (금요일에, on Friday), "from" (금요일부터), "to" (금요일로
    옮기다), or "bare".
    """

    text: str
    role: Role
    start: int
    end: int


def korean_dates(text: str) -> list[DateMention]:
    """Return the dates in a Korean sentence, in order."""
    return list(_korean_mentions(text))


def english_dates(text: str) -> list[DateMention]:
    """Return the dates in an English sentence, in order; a bare number is one only after "by" or "on"."""
    mentions = []
    for match in _ENGLISH.finditer(text):
        before = (match[1] or "").lower()
        if match[2].isdigit() or (not before and re.fullmatch(r"(?:the\s+)?\d+\w*", match[2])):
            continue
        role: Role = "at" if before == "on" else "until" if before else "bare"
        mentions.append(DateMention(match[2], role, match.start(), match.end()))
    return mentions


def due_date(mentions: list[DateMention]) -> DateMention | None:
    """Return the due date: the first "until", else "at", else "bare"."""
    for role in ("until", "at", "bare"):
        for mention in mentions:
            if mention.role == role:
                return mention
    return None


def _korean_mentions(text: str) -> Iterator[DateMention]:
    for match in _KOREAN.finditer(text):
        if match[1].startswith(("지난", "매")):
            continue
        tail = _TAIL.match(text, match.end())
        particle = (tail[1] if tail else None) or ""
        end = tail.end() if tail and particle else match.end()
        role = _role(match[1], particle, text[end:])
        if role:
            yield DateMention(match[1], role, match.start(), end)


def _role(date: str, particle: str, rest: str) -> Role | None:
    if particle in ("부터", "이후"):
        return "from"
    if particle in ("까지", "쯤까지", "중으로", "안으로", "내로", "안에", "이내로", "이내에", "전에"):
        return "until"
    if particle in ("에", "에는", "쯤", "쯤에") or (
        particle in ("으로", "로") and date.endswith(("중", "안", "내", "이내"))
    ):
        return "until" if date.endswith(("중", "안", "내", "전")) else "at"
    if particle in ("으로", "로"):
        return "to"
    if date.endswith((" 중", " 전")) or date.endswith("연내"):
        return "until"
    # without a particle, a date is a due date only if it is an adverb and no noun follows as in "내일 회의"; in "금요일 회의
    # 자료" it belongs to the meeting
    adverb = date in ("오늘", "내일", "모레", "글피", "내일모레")
    if not particle and adverb and not re.match(r"\s*(?:회의|미팅|일정|행사|오전|오후|안건|논의|참석)", rest):
        return "bare"
    return None
