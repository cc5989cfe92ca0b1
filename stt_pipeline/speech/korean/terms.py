"""The user's own spellings: terms that a model writes as it hears them. Text in, edits out; for every language."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from stt_pipeline.speech.korean.particles import ONLY_PARTICLES
from stt_pipeline.speech.korean.timed_text import Edit

Terms = tuple[tuple[str, tuple[str, ...]], ...]
"""Spellings that must come out, each with what is heard instead."""


def term_edits(text: str, terms: Terms, *, is_korean: bool) -> Iterator[Edit]:
    """Yield the edits that put ``terms`` into ``text``.

    What is heard counts as a whole word only, however it is spaced and in whatever case; Korean particles and the
    copula that hang on it stay ("에이피아이를" becomes "API를"). In Korean text a spelling with capitals is restored from
    any other case too; elsewhere not, where "it" is a word besides "IT".
    """
    spellings, pattern = _compiled(terms, is_korean)
    if pattern is None:
        return
    for match in pattern.finditer(text):
        # re takes more letters for the same than casefold does, such as the Turkish ı
        spelling = spellings.get(_key(match.group(1)), match.group(1))
        if spelling != match.group(1):
            yield Edit(match.start(1), match.end(1), spelling)


@lru_cache(maxsize=32)  # options are those of a batch, and a process works on few at a time
def _compiled(terms: Terms, is_korean: bool) -> tuple[dict[str, str], re.Pattern[str] | None]:
    spellings: dict[str, str] = {}
    for spelling, heard in terms:
        own = (spelling,) if is_korean and spelling != spelling.casefold() else ()
        for variant in (*heard, *own):
            if _key(variant) and spelling.strip():
                spellings.setdefault(_key(variant), spelling.strip())
    if not spellings:
        return {}, None
    # the longest first, or "에이피아이 서버" would never be found behind "에이피아이"
    variants = (r"\s*".join(map(re.escape, key)) for key in sorted(spellings, key=len, reverse=True))
    return spellings, re.compile(
        rf"(?<!\w)({'|'.join(variants)})(?=(?:{ONLY_PARTICLES})?(?!\w))", re.IGNORECASE
    )


def _key(heard: str) -> str:
    # people type on macOS too, which takes Hangul apart
    return "".join(unicodedata.normalize("NFC", heard).split()).casefold()
