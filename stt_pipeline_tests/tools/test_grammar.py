"""The language of the demo model: particles, numbers, and the training corpus of the shipped model."""

import hashlib
from random import Random

import pytest

from tools.demo_model.corpus import draw_corpus, shipped_training_sentences
from tools.demo_model.grammar import draw_sentence, fill, templates
from tools.demo_model.korean import particle, sino_number
from tools.demo_model.slots import SLOTS, date_phrase, plain
from tools.demo_model.synthesis import HELD_OUT_VARIANTS

# SHA-256 of all 18,500 sentences of the shipped model's training set, one per line
_SHIPPED_CORPUS = "d09ff25145d93a6bffbcf6b6a7f42026ea90111af4a08d626b192ae2a918534e"


@pytest.mark.parametrize(
    ("word", "pair", "form"),
    [
        ("팀장", "이/가", "이"),
        ("대리", "이/가", "가"),
        ("예산안", "을/를", "을"),
        ("보고서", "을/를", "를"),
        ("마케팅", "과/와", "과"),
        ("서울", "으로/로", "로"),
        ("본사", "으로/로", "로"),
        ("부산", "으로/로", "으로"),
        ("Kim", "은/는", "는"),
    ],
)
def test_particles_agree_with_the_previous_word(word: str, pair: str, form: str) -> None:
    assert particle(word, pair) == form


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "영"),
        (7, "칠"),
        (10, "십"),
        (11, "십일"),
        (25, "이십오"),
        (100, "백"),
        (101, "백일"),
        (250, "이백오십"),
        (1000, "천"),
        (2026, "이천이십육"),
        (9999, "구천구백구십구"),
    ],
)
def test_sino_korean_numbers(number: int, words: str) -> None:
    assert sino_number(number) == words


@pytest.mark.parametrize("number", [-1, 10_000])
def test_numbers_out_of_range_are_errors(number: int) -> None:
    with pytest.raises(ValueError, match="0 to 9999"):
        sino_number(number)


def test_irregular_months() -> None:
    assert date_phrase(6, 3).spoken == "유월 삼일"
    assert date_phrase(10, 21).spoken == "시월 이십일일"
    assert date_phrase(12, 1).spoken == "십이월 일일"


def test_a_particle_follows_the_spoken_form() -> None:
    values = {"pct": SLOTS["ko"]["pct"](Random(1)), "P": plain("박 부장")}
    assert fill("만족도가 {pct}{으로/로} 나타났습니다.", values.__getitem__).written.endswith(
        "%로 나타났습니다."
    )
    assert fill("{P}{이/가} 승인합니다.", values.__getitem__).written == "박 부장이 승인합니다."


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_template_can_be_filled_and_spoken_without_digits_in_korean(language: str) -> None:
    rng = Random(3)
    for template in templates(language):
        sentence = draw_sentence(rng, language, template)
        assert "{" not in sentence.written + sentence.spoken
        if language == "ko":
            assert not any(character.isdigit() or character == "%" for character in sentence.spoken)


@pytest.mark.slow
def test_the_corpus_is_the_one_of_the_shipped_model() -> None:
    sentences = "\n".join(utterance.sentence.written for utterance in draw_corpus().training)
    assert hashlib.sha256(sentences.encode()).hexdigest() == _SHIPPED_CORPUS


@pytest.mark.slow
def test_training_excludes_held_out_sentences() -> None:
    corpus = draw_corpus()
    held_out = {sentence.written for sentence in corpus.held_out["ko"]}
    assert len(held_out) == 400
    assert not held_out & shipped_training_sentences()
    assert not {utterance.voice.variant for utterance in corpus.training} & set(HELD_OUT_VARIANTS)
