"""Terms of a text: Korean words in any inflection, other words as they are written."""

import pytest

from stt_pipeline.search.terms import LONGEST, normalized, readings_of, terms_of


def lexemes(text: str) -> list[str]:
    return list(terms_of(normalized(text)).lexemes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("회의를 회의에서 회의는 회의까지", ["회의"] * 4),
        ("정기회의에서 예산안을 결정하기로 했습니다", ["정기", "회의", "예산안", "결정"]),
        ("물류센터가 빨라졌어요", ["물류", "센터", "빠르다"]),
        ("먹었다 먹는 먹으면", ["먹다"] * 3),
        ("수익성을 재검토", ["수익", "성", "재", "검토"]),
        ("김철수 과장님들께 보고했습니다", ["김철수", "과장", "보고"]),
        ("3월 15일까지 1,000원", ["3", "월", "15", "일", "1000", "원"]),
        ("GPT-4o를 API서버에 배포", ["gpt", "4", "o", "api", "서버", "배포"]),
        ("#회의 @담당자 https://회의.kr", ["회의", "담당자", "https", "회의", "kr"]),
        ("The Meeting's at 10:30, CAFÉ", ["the", "meeting", "s", "at", "10", "30", "café"]),
        ("東京で会議", ["東", "京", "で", "会", "議"]),
        ("그리고 네 저는 그것을", []),
        ("?! … ()", []),
        ("", []),
    ],
)
def test_terms_of_a_text(text: str, expected: list[str]) -> None:
    assert lexemes(text) == expected


def test_decomposed_korean_is_the_same() -> None:
    assert lexemes("\u1112\u116c\u110b\u1174\u1105\u1173\u11af") == ["회의"]


def test_a_term_has_its_offsets() -> None:
    text = "😀 정기회의를 🎉 결정했습니다, API도"
    assert [text[term.start : term.end] for term in terms_of(text).terms] == ["정기", "회의", "결정", "API"]


def test_a_compound_is_also_one_term() -> None:
    found = terms_of("정기회의와 하이퍼클로바X, 회의 결과")
    assert [compound.lexeme for compound in found.compounds] == ["정기회의", "하이퍼클로바x"]
    assert found.joined[-2:] == ("회의", "결과")


def test_a_single_word_has_several_readings() -> None:
    assert {reading.lexemes for reading in readings_of("들어", 4)} == {("듣다",), ("들다",)}
    assert {reading.lexemes for reading in readings_of("결정", 4)} == {("결정",)}


def test_terms_are_never_too_long_for_the_database() -> None:
    assert all(len(lexeme) <= LONGEST for lexeme in lexemes("가" * 5_000 + " " + "x" * 5_000))
    assert max(len(compound.lexeme) for compound in terms_of("회의" * 500).compounds) <= LONGEST
