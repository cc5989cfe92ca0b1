"""Values of Korean numbers in words. `numbers` decides which of them are rewritten."""

import re
from typing import Final

_DIGITS: Final = {character: value for value, character in enumerate("영일이삼사오육칠팔구")} | {"공": 0}
_TENS: Final = {"십": 10, "백": 100, "천": 1000}
_GROUPS: Final = ("조", "억", "만")

_BELOW_TEN_THOUSAND: Final = "(?=[일이삼사오육칠팔구십백천])[이삼사오육칠팔구일]?천?[이삼사오육칠팔구일]?백?[이삼사오육칠팔구일]?십?[일이삼사오육칠팔구]?"
SINO: Final = rf"(?:{_BELOW_TEN_THOUSAND}조\s?)?(?:{_BELOW_TEN_THOUSAND}억\s?)?(?:{_BELOW_TEN_THOUSAND}만\s?)?(?:{_BELOW_TEN_THOUSAND})?"
"""A Sino-Korean number as a regular expression. It also matches the empty string and invalid numbers: see :func:`sino`."""

_NATIVE_ONES: Final = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_NATIVE_TENS: Final = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
NATIVE: Final = {
    ten + one: 10 * tens + ones
    for tens, ten in enumerate(_NATIVE_TENS)
    for ones, one in enumerate(_NATIVE_ONES)
    if ten or one
} | {"스무": 20}
"""Native numbers before a counter, up to 99."""


def sino(words: str) -> str | None:
    """Return a Sino-Korean number in digits in newspaper style, "3억 5000만"; None if it is not a number.

    Whole thousands keep 천, with or without 만 or 억 after it: "5천만", "3천". Years are below ten thousand and all digits: see
    :func:`sino_value`.
    """
    parts = []
    rest = "".join(words.split())
    for unit in (*_GROUPS, ""):
        if unit:
            group, found, after = rest.partition(unit)
            if not found:
                continue
            rest = after
        else:
            group = rest
        if not group:
            if unit:
                return None  # 만 alone is more often a particle or a word than a number
            continue
        value = sino_value(group)
        if not value:
            return None
        thousands, below = divmod(value, 1000)
        parts.append((f"{thousands}천" if thousands and not below else str(value)) + unit)
    return " ".join(parts) or None


def sino_value(words: str) -> int | None:
    """Return a Sino-Korean number below ten thousand ("이천이십육": 2026); None if it is not one."""
    total, digit, last = 0, None, 10_000
    for character in words:
        if character in _DIGITS:
            if digit is not None:
                return None
            digit = _DIGITS[character]
        else:
            unit = _TENS.get(character)
            if unit is None or unit >= last or digit == 0:
                return None
            total, digit, last = total + (1 if digit is None else digit) * unit, None, unit
    return total + (digit or 0) if words else None


def spelled_digits(words: str) -> str | None:
    """Return a number that is read digit by digit ("공일공": "010"); None if it contains another word."""
    if not words or not all(character in _DIGITS for character in words):
        return None
    return "".join(str(_DIGITS[character]) for character in words)


NATIVE_PATTERN: Final = "|".join(sorted(map(re.escape, NATIVE), key=len, reverse=True))
"""The native numbers as a regular expression."""
