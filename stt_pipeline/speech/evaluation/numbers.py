"""Rewrites the numbers of a text in one spelling, to separate spelling differences from errors."""

import re
from decimal import Decimal
from typing import Final

from stt_pipeline.speech.korean.numbers import number_edits

_UNITS: Final = {"조": 10**12, "억": 10**8, "만": 10**4, "": 1}
_SMALL_UNITS: Final = {"천": 1000, "백": 100, "십": 10, "": 1}

# "200 만 원", but not "3 만나서"
_PART: Final = r"(\d+(?:,\d{3})*(?:\.\d+)?)(천|백|십)?(?:\s?(조|억|만)(?!\w)|(조|억|만))?"
# a smaller part only after a larger unit: 3억 5천만, but not 3시 5분
_MIXED: Final = re.compile(rf"{_PART}(?:(?<=[조억만])\s?{_PART})*")
_DIGITS: Final = re.compile(r"\d+(?:\.\d+)?")


def numbers_alike(text: str) -> str:
    """Return ``text`` with its numbers in plain digits: "이백만 원", "200만 원" and "2,000,000원" become "2000000".

    Korean numbers in words are rewritten where a unit or a date shows that they are numbers
    (`speech.korean.numbers`). Other words do not change, nor do those of other languages.
    """
    for edit in reversed(list(number_edits(text))):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return _MIXED.sub(_plain, text)


def numbers_of(text: str) -> list[str]:
    """Return the numbers of ``text`` in plain digits, in order."""
    return _DIGITS.findall(numbers_alike(text))


def _plain(match: "re.Match[str]") -> str:
    parts = re.findall(_PART, match.group())
    number, *units = parts[0]
    if len(parts) == 1 and not any(units) and "." not in number:
        return str(number).replace(",", "")  # 010 is not 10
    total = sum(
        (
            Decimal(number.replace(",", "")) * _SMALL_UNITS[small] * _UNITS[apart or large]
            for number, small, apart, large in parts
        ),
        Decimal(0),
    )
    return f"{total.normalize():f}"
