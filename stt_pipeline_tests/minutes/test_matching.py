"""Matching of expected and found action items."""

import pytest

from stt_pipeline.minutes.matching import matched_action_items, normal_due, normal_owner
from stt_pipeline.minutes.model import ActionItem

EXPECTED = {"owner": "김 과장", "task": "예산안 제출", "due": "12월 3일"}


@pytest.mark.parametrize(
    ("found", "count"),
    [
        (ActionItem("예산안 제출", "김 과장", "12월 3일"), 1),
        (ActionItem("예산안 작성", "김과장님", "12월 3일까지"), 1),
        (ActionItem("보고서 제출", "김 과장", "12월 3일"), 0),
        (ActionItem("예산안 제출", "이 과장", "12월 3일"), 0),
        (ActionItem("예산안 제출", "김 과장", "12월 30일"), 0),
        (ActionItem("예산안 제출", "김 과장", None), 0),
        (ActionItem("예산안 제출", None, "12월 3일"), 0),
    ],
)
def test_owner_due_and_object_must_agree(found: ActionItem, count: int) -> None:
    assert matched_action_items([EXPECTED], [found]) == count


def test_one_found_item_matches_one_expected_item() -> None:
    found = [ActionItem("예산안 제출", "김 과장", "12월 3일")]
    assert matched_action_items([EXPECTED, EXPECTED], found) == 1
    assert matched_action_items([EXPECTED, EXPECTED], found * 2) == 2
    assert matched_action_items([], found) == 0 == matched_action_items([EXPECTED], [])


def test_the_matching_is_a_maximum() -> None:
    wide = {"owner": "김 과장", "task": "자료 준비", "due": None}
    narrow = {"owner": "김 과장", "task": "발표 자료 준비", "due": None}
    found = [ActionItem("발표 자료 준비", "김 과장"), ActionItem("매출 자료 준비", "김 과장")]
    assert matched_action_items([wide, narrow], found) == 2
    assert matched_action_items([narrow, wide], found[::-1]) == 2


def test_normal_forms() -> None:
    assert normal_owner("김 과장님께서") == normal_owner("김과장") == normal_owner("김 과장이")
    assert normal_owner("민수 씨가") == normal_owner("민수")
    assert normal_due("다음 주 금요일까지") == normal_due("다음주 금요일")
    assert normal_due("by Friday") == normal_due("Friday") == "friday"
    assert normal_due("오늘 중으로") == normal_due("오늘 중") == "오늘"
    assert normal_due(None) == ""


def test_english_tasks_match_by_the_words_after_the_verb() -> None:
    expected = {"owner": "Tom", "task": "send the budget", "due": "by Friday"}
    assert matched_action_items([expected], [ActionItem("email the budget", "Tom", "Friday")]) == 1
    assert matched_action_items([expected], [ActionItem("send the slides", "Tom", "Friday")]) == 0
