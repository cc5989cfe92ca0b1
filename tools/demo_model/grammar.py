"""The closed language of the demo model: templates with slots, filled to sentences in written and spoken form.

The templates are lines of ``templates/<language>.txt``: ``{P}`` is a slot of slots.py, ``{이/가}`` a particle that agrees
with the slot before it. Audio and the choice of training sentences are in other modules.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Literal

from tools.demo_model.korean import particle
from tools.demo_model.slots import SLOTS, Phrase

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")

_FIELD = re.compile(r"\{([^}]+)\}")
_TRIES_FOR_ANOTHER_VALUE = 5


@cache
def templates(language: Language) -> tuple[str, ...]:
    """Return all templates of a language, in the order of their file."""
    file = Path(__file__).parent / "templates" / f"{language}.txt"
    return tuple(file.read_text(encoding="utf-8").splitlines())


def slot_count(template: str) -> int:
    """Return the number of slots and particles of a template."""
    return template.count("{")


def fill(template: str, choose: Callable[[str], Phrase]) -> Phrase:
    """Return a template's sentence.

    Args:
        template: text with ``{slot}`` and ``{consonant form/vowel form}`` fields.
        choose: returns the value for the name of a slot; it is called once for each slot, from left to right.
    """
    written, spoken, position = "", "", 0
    value = Phrase("", "")
    for field in _FIELD.finditer(template):
        literal = template[position : field.start()]
        position = field.end()
        name = field.group(1)
        if "/" in name:
            form = particle(value.spoken, name)
            piece = Phrase(form, form)
        else:
            piece = value = choose(name)
        written += literal + piece.written
        spoken += literal + piece.spoken
    return Phrase(written + template[position:], spoken + template[position:])


def draw_sentence(rng: Random, language: Language, template: str) -> Phrase:
    """Return a template's sentence with random slot values; a value is used twice only after five draws without another one."""
    slots, used = SLOTS[language], set[Phrase]()

    def choose(name: str) -> Phrase:
        for _ in range(_TRIES_FOR_ANOTHER_VALUE):
            value = slots[name](rng)
            if value not in used:
                break
        used.add(value)
        return value

    sentence = fill(template, choose)
    if language == "en":
        return Phrase(_capitalised(sentence.written), _capitalised(sentence.spoken))
    return sentence


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]
