"""Removal of fillers such as 음, 어 and "um". Text in, edits out."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from stt_pipeline.speech.korean.timed_text import Edit

# Fillers only. 그, 저 and 뭐 are words too, so they match only before a comma, dots or ~. 아 and 네 have a meaning, and "um"
# is a German word.
_FILLERS: Final[Mapping[str, re.Pattern[str]]] = {
    "ko": re.compile(
        r"(?<![^\s,.…])(?:(?:음+|흠+|엄+|어+|으음|으흠|어음|에에)[,.…~]*|(?:그+|저+|뭐)(?:,|\.{2,}|…|~)+)(?=\s|$)"
    ),
    "en": re.compile(
        r"(?<![^\s,.…])(?:u+h+m*|u+m+|e+rm+|h+m+|m+hm+)(?:[,…~]|\.{2,})*(?=\s|$)", re.IGNORECASE
    ),
}


def filler_edits(text: str, language: str) -> Iterator[Edit]:
    """Yield the edits that delete the fillers of ``text``, each with its punctuation and the spaces before it."""
    pattern = _FILLERS.get(language)
    for match in pattern.finditer(text) if pattern else ():
        start = match.start()
        while start and text[start - 1].isspace():
            start -= 1
        yield Edit(start, match.end())
