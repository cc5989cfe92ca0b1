"""Of texts that the speech model takes for nearly equal, the one that is normal Korean is kept."""

from collections.abc import Sequence

import pytest

from stt_pipeline.speech.engine.hypotheses import Hypothesis, most_likely
from stt_pipeline.speech.korean import log_probability

TEXTS = ("한국 표정화학 연구원입니다.", "한국 표준과학 연구원입니다.")
"""As Whisper base writes it, and as it was said."""


def choose(scores: Sequence[float], language: str) -> str:
    hypotheses = [Hypothesis([index] * 10, score, 0.0) for index, score in enumerate(scores)]
    return TEXTS[most_likely(hypotheses, language, lambda tokens: TEXTS[tokens[0]]).tokens[0]]


@pytest.mark.parametrize(
    ("scores", "language", "expected"),
    [
        ((-0.30, -0.31), "ko", 1),  # nearly equal for the speech model
        ((-0.30, -1.50), "ko", 0),  # the speech model is sure
        ((-0.30, -0.31), "en", 0),  # no language model
        ((-0.30,), "ko", 0),
    ],
)
def test_the_language_model_decides_between_equal_texts(
    scores: Sequence[float], language: str, expected: int
) -> None:
    assert choose(scores, language) == TEXTS[expected]


def test_an_empty_text_is_no_choice_of_the_language_model() -> None:
    texts = {0: "알겠습니다.", 1: ""}
    some, empty = Hypothesis([0] * 12, -0.35, 0.0), Hypothesis([1], -0.9, 0.0)
    assert most_likely([some, empty], "ko", lambda tokens: texts[tokens[0]]) is some
    assert most_likely([empty, some], "ko", lambda tokens: texts[tokens[0]]) is empty


def test_normal_text_is_more_probable() -> None:
    assert log_probability(TEXTS[0]) < log_probability(TEXTS[1]) < log_probability("") == 0
