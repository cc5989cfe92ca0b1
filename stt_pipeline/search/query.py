"""Parses search text into a query: the terms that a block must contain, and their positions in a block.

A block must contain every word, in any form and in any of its readings. Words in quotes must follow each other. The SQL
is in ``store/results/search.py``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.search.terms import Terms, normalized, readings_of, terms_of

LONGEST_QUERY = 200
"""Characters."""

_READINGS = 4
_PART = re.compile(r'["“”„]([^"“”„]*)["“”„]|([^\s"“”„]+)')

Lexemes = tuple[str, ...]
"""A sequence of terms that must follow each other."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One word or one quoted phrase; a block matches if it contains any of the forms."""

    forms: tuple[Lexemes, ...]


@dataclass(frozen=True)
class Query:
    """The words and phrases that a block must contain."""

    wanted: tuple[Wanted, ...]

    @cached_property
    def lexemes(self) -> frozenset[str]:
        """All terms of the query."""
        return frozenset(lexeme for one in self.wanted for form in one.forms for lexeme in form)

    @cached_property
    def has_sequences(self) -> bool:
        """Whether a block must contain terms in sequence, so that their positions matter."""
        return any(len(form) > 1 for one in self.wanted for form in one.forms)

    def places(self, found: Mapping[str, Sequence[int]]) -> set[int]:
        """Return the positions of a block that match the query.

        Args:
            found: the positions of each term in the block.
        """
        places: set[int] = set()
        for one in self.wanted:
            for first, *rest in one.forms:
                follow = [set(found.get(lexeme, ())) for lexeme in rest]
                for start in found.get(first, ()):
                    if all(start + step in some for step, some in enumerate(follow, start=1)):
                        places.update(range(start, start + len(follow) + 1))
        return places


def parse_query(text: str) -> Query:
    """Parse the search text of a user.

    Raises:
        InvalidRequestError: the text is too long, or has no word that is indexed.
    """
    if len(text) > LONGEST_QUERY:
        raise InvalidRequestError(f"The search text is too long: at most {LONGEST_QUERY} characters.")
    text = normalized(text)
    parts = [(match[1], match[2]) for match in _PART.finditer(text)]
    wanted = [_phrase(phrase) if phrase is not None else _word(word) for phrase, word in parts]
    # a repeated word adds no condition
    forms = dict.fromkeys(tuple(one) for one in wanted if one)
    if not forms:
        raise InvalidRequestError(
            "The search text has no searchable word: particles, endings, pronouns and punctuation are not indexed."
        )
    return Query(tuple(map(Wanted, forms)))


def _word(word: str) -> list[Lexemes]:
    return _forms([reading for reading in readings_of(word, _READINGS) if reading.terms])


def _phrase(phrase: str) -> list[Lexemes]:
    """Return the forms of a phrase: analysed as a whole, and word by word."""
    alone = [readings_of(word, 1) for word in phrase.split()]
    found = _forms([terms_of(phrase)])
    for form in (
        tuple(lexeme for some in alone for one in some for lexeme in one.lexemes),
        tuple(lexeme for some in alone for one in some for lexeme in one.joined),
    ):
        if form and form not in found:
            found.append(form)
    return found


def _forms(readings: Sequence[Terms]) -> list[Lexemes]:
    found = [form for reading in readings for form in (reading.lexemes, reading.joined) if form]
    return list(dict.fromkeys(found))
