"""Text whose every character knows when it was said, so that words keep their times while the text is edited.

No rule of any language here: who wants another text says so by an :class:`Edit`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from stt_pipeline.speech.transcript import Word


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the characters from ``start`` to ``end`` by ``text``; nothing between them inserts, no text deletes."""

    start: int
    end: int
    text: str = ""


class _Sign(NamedTuple):
    """A character, when it was said, the words that it came from, and its place in what the model wrote."""

    character: str
    start: float
    end: float
    words: tuple[int, int]
    heard: int
    opens: bool
    """Whether a word begins here."""


class TimedText:
    """The text of some words. Edits keep it in order of time; :meth:`words` makes words of it again.

    A syllable takes an equal part of its word's time and punctuation none. What replaces some characters takes their
    time together, so the times of all others stay to the letter, and times that rise still do.
    """

    def __init__(self, words: Sequence[Word]) -> None:
        """Take ``words`` as they are, each with the space before it, if it has one."""
        self._source = words
        self._signs: list[_Sign] = []
        for number, word in enumerate(words):
            self._signs += _spread(
                word.text, word.start, word.end, (number, number), len(self._signs), is_source=True
            )
        self._heard = "".join(word.text for word in words)
        self.text = self._heard

    def edit(self, edits: Iterable[Edit]) -> None:
        """Apply ``edits`` to the text as it is now; they are in order and do not touch each other."""
        for edit in reversed(list(edits)):  # the last one first, so that places stay valid
            self._signs[edit.start : edit.end] = self._replacement(edit)
        self.text = "".join(sign.character for sign in self._signs)

    def words(self, start: int = 0, end: int | None = None) -> tuple[Word, ...]:
        """Return the words of the characters from ``start`` to ``end``, the first one without a space before it.

        A word that came from several is as sure as the least sure of them.
        """
        part = self._signs[start:end]
        bounds = [0]
        for place, sign in enumerate(part):
            # spaces go with what follows them, never alone
            if sign.opens and not _is_blank(part[bounds[-1] : place]):
                bounds.append(place)
        if len(bounds) > 1 and _is_blank(part[bounds[-1] :]):
            bounds.pop()
        bounds.append(len(part))
        found = [self._word(part[first:last]) for first, last in pairwise(bounds) if last > first]
        if found and start:
            found[0] = replace(found[0], text=found[0].text.lstrip())
        return tuple(found)

    def heard(self, start: int = 0, end: int | None = None) -> str:
        """Return what the model wrote where the characters from ``start`` to ``end`` are now."""
        return self._heard[self._place(start) if start else 0 : self._place(end)].strip()

    def _place(self, position: int | None) -> int:
        at_end = position is None or position >= len(self._signs)
        return len(self._heard) if at_end else self._signs[position or 0].heard

    def _replacement(self, edit: Edit) -> list[_Sign]:
        old = self._signs[edit.start : edit.end]
        if not old:
            if not self._signs:
                return []
            before = self._signs[max(edit.start - 1, 0)]
            at = before.end if edit.start else before.start
            return _spread(edit.text, at, at, before.words, before.heard + (1 if edit.start else 0))
        words = (min(sign.words[0] for sign in old), max(sign.words[1] for sign in old))
        new = _spread(edit.text, old[0].start, old[-1].end, words, old[0].heard)
        if new:
            new[0] = new[0]._replace(opens=old[0].opens)
        return new

    def _word(self, signs: Sequence[_Sign]) -> Word:
        spoken = [sign for sign in signs if not sign.character.isspace()] or signs
        came_from = self._source[
            min(sign.words[0] for sign in spoken) : max(sign.words[1] for sign in spoken) + 1
        ]
        return replace(
            came_from[0],
            text="".join(sign.character for sign in signs),
            start=spoken[0].start,
            end=spoken[-1].end,
            probability=min(word.probability for word in came_from),
            overlap=any(word.overlap for word in came_from),
            low_confidence=any(word.low_confidence for word in came_from),
        )


def _spread(
    text: str, start: float, end: float, words: tuple[int, int], heard: int, *, is_source: bool = False
) -> list[_Sign]:
    """Return the characters of ``text`` over the time from ``start`` to ``end``, which both stay exact."""
    weights = [1 if character.isalnum() else 0 for character in text]
    if not any(weights):
        weights = [0 if character.isspace() else 1 for character in text]
    total, passed = sum(weights) or 1, 0
    signs = []
    for place, (character, weight) in enumerate(zip(text, weights, strict=True)):
        first = _between(start, end, passed, total)
        passed += weight
        signs.append(
            _Sign(
                character,
                first,
                _between(start, end, passed, total),
                words,
                heard + place if is_source else heard,
                # in languages without spaces a word of the model begins without one
                opens=place == 0 if is_source else character.isspace(),
            )
        )
    return signs


def _is_blank(signs: Sequence[_Sign]) -> bool:
    return all(sign.character.isspace() for sign in signs)


def _between(start: float, end: float, passed: int, total: int) -> float:
    if passed == 0 or start == end:
        return start
    return end if passed == total else min(max(round(start + (end - start) * passed / total, 3), start), end)
