"""The training sentences with their voices, and the held-out sentences for evaluation, drawn from fixed seeds.

``shipped_training_sentences`` returns the training sentences of the model in the package.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random

from tools.demo_model.grammar import Language, draw_sentence, slot_count, templates
from tools.demo_model.slots import Phrase
from tools.demo_model.synthesis import TRAINING_VARIANTS, Voice

KOREAN_UTTERANCES, ENGLISH_UTTERANCES = 16_000, 2_500
"""Size of the corpus from which the shipped model was made."""

_HELD_OUT: dict[Language, int] = {"ko": 400, "en": 40}
_SHORT = (
    16  # sentences of up to 16 characters have too few different fillings: both sets would have all of them
)
_SEED = 0


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence and its voice."""

    language: Language
    sentence: Phrase
    voice: Voice


@dataclass(frozen=True, slots=True)
class Corpus:
    """Training utterances, and held-out sentences by language, which are in no training utterance."""

    training: tuple[Utterance, ...]
    held_out: dict[Language, tuple[Phrase, ...]]


def draw_corpus(korean: int = KOREAN_UTTERANCES, english: int = ENGLISH_UTTERANCES) -> Corpus:
    """Return a corpus of ``korean + english`` training utterances; equal sizes give equal corpora."""
    rng = Random(_SEED)
    held_out: dict[Language, dict[str, Phrase]] = {"ko": {}, "en": {}}
    draw: dict[Language, Callable[[], Phrase]] = {"ko": _drawer(rng, "ko"), "en": _drawer(rng, "en")}
    while len(held_out["ko"]) < _HELD_OUT["ko"]:
        sentence = draw["ko"]()
        if len(sentence.written) > _SHORT:
            held_out["ko"][sentence.written] = sentence
    while len(held_out["en"]) < _HELD_OUT["en"]:
        sentence = draw["en"]()
        held_out["en"][sentence.written] = sentence

    training: list[Utterance] = []
    sizes: tuple[tuple[Language, int], ...] = (("ko", korean), ("en", english))
    for language, size in sizes:
        target = len(training) + size
        while len(training) < target:
            sentence = draw[language]()
            if sentence.written in held_out[language] and len(sentence.written) > _SHORT:
                continue
            voice = Voice(rng.choice(TRAINING_VARIANTS), rng.randint(25, 75), rng.randint(135, 195))
            training.append(Utterance(language, sentence, voice))
    return Corpus(tuple(training), {language: tuple(found.values()) for language, found in held_out.items()})


@cache
def shipped_training_sentences() -> frozenset[str]:
    """Return the written form of all training sentences of the shipped model."""
    return frozenset(utterance.sentence.written for utterance in draw_corpus().training)


def _drawer(rng: Random, language: Language) -> Callable[[], Phrase]:
    choices = templates(language)
    weights = [
        1 + 1.5 * slot_count(template) for template in choices
    ]  # templates with more slots have more sentences to learn
    return lambda: draw_sentence(rng, language, rng.choices(choices, weights)[0])
