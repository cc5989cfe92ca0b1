"""Terms get the user's spelling and keep their particles; other text does not change."""

import unicodedata

import pytest

from stt_pipeline.speech.korean.terms import term_edits

TERMS = (
    ("API", ("에이피아이", "에이피 아이")),
    ("Kubernetes", ("쿠버네티스", "쿠버네틱스", "cooper netties")),
    ("DB", ("디비",)),
    ("API 서버", ("에이피아이 서버",)),
)


def spelled(text: str, *, is_korean: bool = True) -> str:
    for edit in reversed(list(term_edits(text, TERMS, is_korean=is_korean))):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("에이피아이를 호출합니다", "API를 호출합니다"),
        ("이 에이 피아이에서는요", "이 API에서는요"),
        ("쿠버네틱스로 옮기고, 쿠버네티스입니다.", "Kubernetes로 옮기고, Kubernetes입니다."),
        ("에이피아이 서버까지만", "API 서버까지만"),
        ("디비와 디비에 디비.", "DB와 DB에 DB."),
        ("디비전은 다릅니다", "디비전은 다릅니다"),
        ("미디비를", "미디비를"),
        ("api를 부르고 kubernetes도", "API를 부르고 Kubernetes도"),
        ("API를", "API를"),
        ("We use cooper  netties here", "We use Kubernetes here"),
    ],
)
def test_terms(spoken: str, written: str) -> None:
    assert spelled(spoken) == written


def test_case_is_restored_in_korean_only() -> None:
    assert list(term_edits("it is here", (("IT", ()),), is_korean=False)) == []
    (edit,) = term_edits("it는 여기", (("IT", ()),), is_korean=True)
    assert edit.text == "IT"


def test_marks_of_regular_expressions_are_letters() -> None:
    (edit,) = term_edits("씨 플플을 씁니다", (("C++", ("씨플플", "c(")),), is_korean=True)
    assert (edit.start, edit.end, edit.text) == (0, 4, "C++")


def test_terms_typed_on_macos_are_found() -> None:
    (edit,) = term_edits(
        "에이피아이를", (("API", (unicodedata.normalize("NFD", "에이피아이"),)),), is_korean=True
    )
    assert (edit.start, edit.end) == (0, 5)


def test_letters_that_only_re_takes_for_equal_do_not_change() -> None:
    assert list(term_edits("apı", (("API", ("api",)),), is_korean=False)) == []


def test_no_terms_no_edits() -> None:
    assert list(term_edits("에이피아이", (), is_korean=True)) == []
    assert list(term_edits("에이피아이", (("API", ("", " ")), ("", ("에이피아이",))), is_korean=True)) == []
