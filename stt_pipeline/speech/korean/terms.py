"""Spellings given by the user for terms that the model misspells, in any language. Text in, edits out."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from stt_pipeline.speech.korean.particles import ONLY_PARTICLES
from stt_pipeline.speech.korean.timed_text import Edit

Terms = tuple[tuple[str, tuple[str, ...]], ...]
"""Correct spellings, each with the variants that the model writes."""


def term_edits(text: str, terms: Terms, *, is_korean: bool) -> Iterator[Edit]:
    """Yield the edits that restore ``terms`` in ``text``.

    A variant matches as a whole word, with any spacing and case; Korean particles and the copula after it stay
    ("에이피아이를" becomes "API를"). In Korean text, a spelling with capitals is also restored from any other case; in other
    languages it is not, because "it" is a word besides "IT".
    """
    spellings, pattern = _compiled(terms, is_korean)
    if pattern is None:
        return
    for match in pattern.finditer(text):
        # re ignores the case of more letters than casefold does, such as the Turkish ı
        spelling = spellings.get(_key(match.group(1)), match.group(1))
        if spelling != match.group(1):
            yield Edit(match.start(1), match.end(1), spelling)


@lru_cache(maxsize=32)  # one entry per batch; a process works on few at a time
def _compiled(terms: Terms, is_korean: bool) -> tuple[dict[str, str], re.Pattern[str] | None]:
    spellings: dict[str, str] = {}
    for spelling, variants in terms:
        own = (spelling,) if is_korean and spelling != spelling.casefold() else ()
        for variant in (*variants, *own):
            if _key(variant) and spelling.strip():
                spellings.setdefault(_key(variant), spelling.strip())
    if not spellings:
        return {}, None
    # the longest first, or "에이피아이" would hide "에이피아이 서버"
    patterns = (r"\s*".join(map(re.escape, key)) for key in sorted(spellings, key=len, reverse=True))
    return spellings, re.compile(
        rf"(?<!\w)({'|'.join(patterns)})(?=(?:{ONLY_PARTICLES})?(?!\w))", re.IGNORECASE
    )


def _key(variant: str) -> str:
    # macOS decomposes Hangul to jamo
    return "".join(unicodedata.normalize("NFC", variant).split()).casefold()
