"""The phonetic letters of a sentence for the CTC loss: Hangul split into jamo, English as letters."""

import unicodedata
from collections.abc import Iterable

_SILENT_INITIAL = "\u110b"  # ᄋ before a vowel has no sound
_HANGUL_JAMO = range(0x1100, 0x1200)


def jamo(spoken: str) -> list[str]:
    """Return the jamo of a sentence as spoken ("가" is ᄀ, ᅡ), without silent letters, spaces and punctuation."""
    letters = unicodedata.normalize("NFD", spoken.lower())
    return [
        letter
        for letter in letters
        if letter != _SILENT_INITIAL and (letter.isalnum() or ord(letter) in _HANGUL_JAMO)
    ]


def jamo_vocabulary(sentences: Iterable[str]) -> dict[str, int]:
    """Return a number for every jamo that occurs, from 1: 0 is CTC's blank."""
    found = sorted({letter for sentence in sentences for letter in jamo(sentence)})
    return {letter: number for number, letter in enumerate(found, start=1)}
