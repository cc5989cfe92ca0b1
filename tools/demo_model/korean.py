"""Korean morphology for the templates: particles that agree with the previous word, and numbers in words."""

_FIRST_SYLLABLE, _LAST_SYLLABLE = 0xAC00, 0xD7A3
_FINALS_PER_SYLLABLE = 28  # a precomposed syllable's code modulo 28 is its final consonant; 0 is none
_RIEUL = 8

_SINO_DIGITS = ("영", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")
_SINO_UNITS = ((1000, "천"), (100, "백"), (10, "십"))

NATIVE_NUMBERS = (
    "", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉", "열", "열한", "열두",
)  # fmt: skip
"""Native numerals before a counter (한 시, 두 명); the index is the number, 1 to 12."""


def final_consonant(word: str) -> int:
    """Return the index of the last syllable's final consonant (Unicode chapter 3.12); 0 is none or not Hangul."""
    code = ord(word[-1])
    if not _FIRST_SYLLABLE <= code <= _LAST_SYLLABLE:
        return 0
    return (code - _FIRST_SYLLABLE) % _FINALS_PER_SYLLABLE


def particle(word: str, pair: str) -> str:
    """Return the form of a particle after ``word``.

    Args:
        word: the previous word in its spoken form, in Hangul ("퍼센트", not "%").
        pair: both forms, the one after a consonant first: "이/가", "을/를", "으로/로".
    """
    after_consonant, after_vowel = pair.split("/")
    final = final_consonant(word)
    if pair == "으로/로" and final == _RIEUL:
        return after_vowel  # 서울로, not 서울으로
    return after_consonant if final else after_vowel


def sino_number(number: int) -> str:
    """Return a Sino-Korean number from 0 to 9999 in words: 21 is 이십일, 100 is 백."""
    if not 0 <= number <= 9999:
        raise ValueError(f"{number} is out of range: sino_number accepts 0 to 9999")
    if number < 10:
        return _SINO_DIGITS[number]
    words = ""
    for unit, name in _SINO_UNITS:
        digit, number = divmod(number, unit)
        if digit:
            words += (_SINO_DIGITS[digit] if digit > 1 else "") + name
    return words + (_SINO_DIGITS[number] if number else "")
