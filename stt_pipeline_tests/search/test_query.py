"""Parsing of search text: words in any form, phrases, and text that cannot be searched for."""

import pytest

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.search.query import parse_query


def forms(text: str) -> list[set[tuple[str, ...]]]:
    return [set(one.forms) for one in parse_query(text).wanted]


def test_every_inflection_gives_the_same_query() -> None:
    assert forms("회의를") == forms("회의에서") == forms("회의") == [{("회의",)}]
    assert forms("결정했습니다") == forms("결정") == [{("결정",)}]


def test_every_word_is_in_the_query_once() -> None:
    assert forms("예산 회의를 예산에서") == [{("예산",)}, {("회의",)}]


def test_a_compound_matches_split_or_as_a_whole() -> None:
    assert {("정기", "회의"), ("정기회의",)} <= forms("정기회의")[0]


def test_a_phrase_keeps_its_order() -> None:
    assert forms('"예산안을 확정" 회의') == [{("예산안", "확정")}, {("회의",)}]
    assert forms("“예산안 확정”") == [{("예산안", "확정")}]


def test_an_unclosed_quote_is_ignored() -> None:
    assert forms('"예산 회의') == [{("예산",)}, {("회의",)}]


@pytest.mark.parametrize(
    "text", ["", " ", "그리고", '""', '"', "!!!", "저는 그것을", "& | ! <-> :*", "'", "\\"]
)
def test_a_query_without_a_word_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="no searchable word"):
        parse_query(text)


def test_a_long_query_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="200"):
        parse_query("회" * 201)


def test_only_words_that_follow_each_other_are_marked_for_a_phrase() -> None:
    query = parse_query('"예산 회의" 결과')
    assert query.places({"예산": [1, 5], "회의": [3, 6, 9], "결과": [20]}) == {5, 6, 20}
