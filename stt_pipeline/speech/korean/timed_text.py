"""Text with a time for every character, so that words keep their times while the text is edited.

It contains no language rules: the rules return :class:`Edit` objects.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from stt_pipeline.speech.transcript import Word


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the characters from ``start`` to ``end`` by ``text``; an empty range inserts, an empty text deletes."""

    start: int
    end: int
    text: str = ""


class _Character(NamedTuple):
    """A character with its times, the indices of its first and last source word, and its offset in the model's text."""

    value: str
    start: float
    end: float
    words: tuple[int, int]
    raw_offset: int
    starts_word: bool


class TimedText:
    """The text of a list of words. Edits keep it in order of time; :meth:`words` returns it as words again.

    The syllables of a word share its time equally; punctuation gets none. A replacement gets the total time of the
    characters that it replaces, so all other times stay exact, and the order of times does not change.
    """

    def __init__(self, words: Sequence[Word]) -> None:
        """Use ``words`` unchanged, each with its leading space, if it has one."""
        self._source = words
        self._characters: list[_Character] = []
        for number, word in enumerate(words):
            self._characters += _spread(
                word.text, word.start, word.end, (number, number), len(self._characters), is_source=True
            )
        self._raw = "".join(word.text for word in words)
        self.text = self._raw

    def edit(self, edits: Iterable[Edit]) -> None:
        """Apply ``edits`` to the current text; they are in order and do not overlap."""
        for edit in reversed(list(edits)):  # the last one first, so that offsets stay valid
            self._characters[edit.start : edit.end] = self._replacement(edit)
        self.text = "".join(character.value for character in self._characters)

    def words(self, start: int = 0, end: int | None = None) -> tuple[Word, ...]:
        """Return the words of the characters from ``start`` to ``end``, the first one without a leading space.

        A word with several source words gets the lowest of their probabilities.
        """
        part = self._characters[start:end]
        bounds = [0]
        for place, character in enumerate(part):
            # spaces belong to the word after them
            if character.starts_word and not _is_blank(part[bounds[-1] : place]):
                bounds.append(place)
        if len(bounds) > 1 and _is_blank(part[bounds[-1] :]):
            bounds.pop()
        bounds.append(len(part))
        found = [self._word(part[first:last]) for first, last in pairwise(bounds) if last > first]
        if found and start:
            found[0] = replace(found[0], text=found[0].text.lstrip())
        return tuple(found)

    def raw(self, start: int = 0, end: int | None = None) -> str:
        """Return the model's text in the place of the characters from ``start`` to ``end``."""
        return self._raw[self._raw_offset(start) if start else 0 : self._raw_offset(end)].strip()

    def _raw_offset(self, position: int | None) -> int:
        at_end = position is None or position >= len(self._characters)
        return len(self._raw) if at_end else self._characters[position or 0].raw_offset

    def _replacement(self, edit: Edit) -> list[_Character]:
        old = self._characters[edit.start : edit.end]
        if not old:
            if not self._characters:
                return []
            before = self._characters[max(edit.start - 1, 0)]
            at = before.end if edit.start else before.start
            return _spread(edit.text, at, at, before.words, before.raw_offset + (1 if edit.start else 0))
        words = (min(one.words[0] for one in old), max(one.words[1] for one in old))
        new = _spread(edit.text, old[0].start, old[-1].end, words, old[0].raw_offset)
        if new:
            new[0] = new[0]._replace(starts_word=old[0].starts_word)
        return new

    def _word(self, characters: Sequence[_Character]) -> Word:
        spoken = [one for one in characters if not one.value.isspace()] or characters
        first, last = min(one.words[0] for one in spoken), max(one.words[1] for one in spoken)
        sources = self._source[first : last + 1]
        return replace(
            sources[0],
            text="".join(one.value for one in characters),
            start=spoken[0].start,
            end=spoken[-1].end,
            probability=min(word.probability for word in sources),
            overlap=any(word.overlap for word in sources),
            low_confidence=any(word.low_confidence for word in sources),
        )


def _spread(
    text: str, start: float, end: float, words: tuple[int, int], raw_offset: int, *, is_source: bool = False
) -> list[_Character]:
    """Return the characters of ``text``, distributed over the time from ``start`` to ``end``; both stay exact."""
    weights = [1 if character.isalnum() else 0 for character in text]
    if not any(weights):
        weights = [0 if character.isspace() else 1 for character in text]
    total, passed = sum(weights) or 1, 0
    found = []
    for place, (character, weight) in enumerate(zip(text, weights, strict=True)):
        first = _between(start, end, passed, total)
        passed += weight
        found.append(
            _Character(
                character,
                first,
                _between(start, end, passed, total),
                words,
                raw_offset + place if is_source else raw_offset,
                # in languages without spaces the model's words have no leading space
                starts_word=place == 0 if is_source else character.isspace(),
            )
        )
    return found


def _is_blank(characters: Sequence[_Character]) -> bool:
    return all(one.value.isspace() for one in characters)


def _between(start: float, end: float, passed: int, total: int) -> float:
    if passed == 0 or start == end:
        return start
    return end if passed == total else min(max(round(start + (end - start) * passed / total, 3), start), end)
