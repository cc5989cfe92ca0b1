"""Action items of natural conversations: precision and recall on hand-written sentences, and the use of answers."""

import pytest

from stt_pipeline.minutes.extractive.action_items import action_items
from stt_pipeline.minutes.extractive.sentences import sentences_of
from stt_pipeline.minutes.matching import matched_action_items
from stt_pipeline.minutes.model import ActionItem
from stt_pipeline_tests.minutes.conversations import SPEAKERS, conversation
from stt_pipeline_tests.minutes.natural_meetings import (
    DEVELOPMENT,
    HELD_OUT,
    SECOND_HELD_OUT,
    THIRD_HELD_OUT,
    Case,
)


def found_in(*lines: str, language: str = "ko") -> list[tuple[str | None, str, str | None]]:
    items = action_items(sentences_of(conversation(lines, language)))
    return [(item.owner, item.task, item.due) for item in items]


@pytest.mark.parametrize(
    ("cases", "precision", "recall"),
    [
        pytest.param(DEVELOPMENT, 0.95, 0.95, id="development"),
        pytest.param(HELD_OUT, 0.95, 0.95, id="held-out"),
        pytest.param(SECOND_HELD_OUT, 0.95, 0.9, id="second held-out"),
        pytest.param(THIRD_HELD_OUT, 0.85, 0.9, id="third held-out"),
    ],
)
def test_precision_and_recall(cases: tuple[Case, ...], precision: float, recall: float) -> None:
    expected = found = matched = 0
    wrong = []
    for lines, items in cases:
        wanted = [
            {"owner": SPEAKERS.get(owner or "", owner), "task": task, "due": due}
            for owner, task, due in items
        ]
        got = action_items(sentences_of(conversation(lines)))
        hits = matched_action_items(wanted, got)
        expected, found, matched = expected + len(wanted), found + len(got), matched + hits
        if not hits == len(wanted) == len(got):
            wrong.append((lines, wanted, got))
    assert matched / found >= precision, wrong
    assert matched / expected >= recall, wrong


def test_there_are_enough_natural_cases_of_both_kinds() -> None:
    cases = [*DEVELOPMENT, *HELD_OUT, *SECOND_HELD_OUT, *THIRD_HELD_OUT]
    assert sum(bool(items) for _, items in cases) >= 40
    assert sum(not items for _, items in cases) >= 40


def test_a_due_date_is_taken_from_the_answer() -> None:
    assert found_in("A: 이 대리님, 예산안 검토는 언제까지 가능합니까?", "B: 금요일까지 가능합니다.") == [
        ("이 대리", "예산안 검토", "금요일")
    ]


def test_a_question_without_an_answer_or_with_a_refusal_is_not_an_item() -> None:
    assert (
        found_in("A: 이 대리님, 예산안 검토는 언제까지 가능합니까?", "B: 좋습니다.", "B: 수고하셨습니다.")
        == []
    )
    assert found_in("A: 이 대리님, 예산안 검토는 금요일까지 가능합니까?", "B: 금요일까지는 어렵습니다.") == []


def test_a_question_with_a_date_needs_a_yes() -> None:
    question = "A: 박 부장님, 계약서 검토는 다음 주 화요일까지 가능하십니까?"
    assert found_in(question, "B: 네, 가능합니다.") == [("박 부장", "계약서 검토", "다음 주 화요일")]


def test_the_speaker_who_accepts_a_request_owns_it() -> None:
    request = "A: 매출 자료를 정리해 주세요."
    assert found_in(request, "B: 네, 알겠습니다.") == [("SPEAKER_01", "매출 자료 정리", None)]
    assert found_in(request, "A: 다음 안건으로 넘어가겠습니다.") == [(None, "매출 자료 정리", None)]


def test_an_answer_with_a_date_completes_the_request() -> None:
    assert found_in("A: 김 과장님, 견적서를 보내 주세요.", "B: 네, 금요일까지 보내 드리겠습니다.") == [
        ("김 과장", "견적서 보내기", "금요일")
    ]


def test_a_promise_of_another_task_is_not_an_answer() -> None:
    assert found_in("A: 김 과장님, 견적서를 보내 주세요.", "B: 제가 금요일까지 보고서를 작성하겠습니다.") == [
        ("김 과장", "견적서 보내기", None),
        ("SPEAKER_01", "보고서 작성", "금요일"),
    ]


def test_a_reference_is_resolved_from_the_sentence_before() -> None:
    assert found_in("A: 서버 점검은 누가 맡으실래요?", "B: 제가 할게요.") == [
        ("SPEAKER_01", "서버 점검", None)
    ]


def test_a_task_that_is_repeated_is_listed_once_with_its_date() -> None:
    lines = (
        "A: 김 과장이 예산안을 제출하기로 했습니다.",
        "B: 김 과장이 예산안을 12월 3일까지 제출하기로 했습니다.",
    )
    items = action_items(sentences_of(conversation(lines)))
    assert items == (ActionItem("예산안 제출", "김 과장", "12월 3일", 0.0),)


def test_without_diarization_a_promise_has_no_owner() -> None:
    transcript = conversation(["A: 제가 금요일까지 보고서를 작성하겠습니다."])
    segment = transcript.segments[0]
    anonymous = transcript.with_segments([type(segment)(segment.start, segment.end, segment.text)])
    assert action_items(sentences_of(anonymous)) == (ActionItem("보고서 작성", None, "금요일", 0.0),)


@pytest.mark.parametrize(
    ("line", "item"),
    [
        ("Tom will send the slides by Monday.", ("Tom", "send the slides", "Monday")),
        ("Okay, I'll update the documentation by next Friday.", ("SPEAKER_00", "update the documentation", "next Friday")),
        ("Anna, could you please check the contract by the end of the month?", ("Anna", "check the contract", "the end of the month")),
        ("Please prepare the budget by Thursday.", (None, "prepare the budget", "Thursday")),
        ("The design team is going to rework the logo.", ("The design team", "rework the logo", None)),
        ("Maria is responsible for customer support.", ("Maria", "customer support", None)),
        ("David needs to call the supplier before December 3rd.", ("David", "call the supplier", "December 3rd")),
    ],
)  # fmt: skip
def test_english_items(line: str, item: tuple[str | None, str, str | None]) -> None:
    assert found_in(f"A: {line}", language="en") == [item]


@pytest.mark.parametrize(
    "line",
    [
        "Let's start the meeting.",
        "The next meeting is on Monday at 3 PM.",
        "Sales will increase by 10%.",
        "It will be fine.",
        "Please go ahead.",
        "Will Tom send the slides?",
        "We will see.",
        "The contract was approved.",
        "I will explain this later.",
    ],
)
def test_english_remarks_are_not_items(line: str) -> None:
    assert found_in(f"A: {line}", language="en") == []


def test_english_question_and_answer() -> None:
    assert found_in("A: Who will take care of the workshop?", "B: I will.", language="en") == [
        ("SPEAKER_01", "take care of the workshop", None)
    ]
