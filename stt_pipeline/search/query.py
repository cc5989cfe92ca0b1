"""What somebody types into a search box, understood: which terms a block must have, and where it has them.

Every word must be there, in any form. A word that can be read in several ways may be there in any of them. Words in
quotes must follow each other. How the database is asked is in ``store/search.py``.
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
"""Terms that follow each other."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One word or one quoted phrase: it is there if any of its forms is."""

    forms: tuple[Lexemes, ...]


@dataclass(frozen=True)
class Query:
    """All that must be in a block."""

    wanted: tuple[Wanted, ...]

    @cached_property
    def lexemes(self) -> frozenset[str]:
        """Every term that is asked for."""
        return frozenset(lexeme for one in self.wanted for form in one.forms for lexeme in form)

    @cached_property
    def has_sequences(self) -> bool:
        """Whether it matters where in a block terms are, not only that they are there."""
        return any(len(form) > 1 for one in self.wanted for form in one.forms)

    def places(self, found: Mapping[str, Sequence[int]]) -> set[int]:
        """Return which positions of a block answer to the query.

        Args:
            found: the positions that the block has of each term.
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
    """Return what ``text`` asks for.

    Raises:
        InvalidRequestError: it is too long, or has no word that could be searched for.
    """
    if len(text) > LONGEST_QUERY:
        raise InvalidRequestError(f"A search has at most {LONGEST_QUERY} characters.")
    text = normalized(text)
    parts = [(match[1], match[2]) for match in _PART.finditer(text)]
    wanted = [_phrase(phrase) if phrase is not None else _word(word) for phrase, word in parts]
    # the same word twice asks for nothing more
    forms = dict.fromkeys(tuple(one) for one in wanted if one)
    if not forms:
        raise InvalidRequestError(
            "There is no word to search for: particles, endings, pronouns and signs alone are not indexed."
        )
    return Query(tuple(map(Wanted, forms)))


def _word(word: str) -> list[Lexemes]:
    return _forms([reading for reading in readings_of(word, _READINGS) if reading.terms])


def _phrase(phrase: str) -> list[Lexemes]:
    """Return the forms of a phrase: as its words are read together, and as each is read alone."""
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
