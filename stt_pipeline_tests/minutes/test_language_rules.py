"""The rules behind the minutes: dates, people, decisions, topics, keywords, ranking."""

import pytest

from stt_pipeline.minutes.extractive.dates import due_date, english_dates, korean_dates
from stt_pipeline.minutes.extractive.decisions import decisions
from stt_pipeline.minutes.extractive.keywords import keywords
from stt_pipeline.minutes.extractive.people import mentions
from stt_pipeline.minutes.extractive.ranking import lexrank
from stt_pipeline.minutes.extractive.sentences import MAX_PAUSE_SECONDS, sentences_of
from stt_pipeline.minutes.extractive.topics import announced_topics, next_meeting
from stt_pipeline.speech.korean import morphemes
from stt_pipeline.speech.transcript import Segment, Transcript, Word
from stt_pipeline_tests.minutes.conversations import conversation


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("12월 3일까지 제출", "12월 3일"),
        ("다음 주 금요일까지", "다음 주 금요일"),
        ("다음주 수요일까지", "다음주 수요일"),
        ("제가 내일 확인하겠습니다", "내일"),
        ("이번 달 말까지 준비", "이번 달 말"),
        ("오늘 중으로 공유", "오늘 중"),
        ("금요일 오후 3시 30분까지", "금요일 오후 3시 30분"),
        ("유월 십오일까지", "유월 십오일"),
        ("2주 안에 처리", "2주 안"),
        ("일주일 내로", "일주일 내"),
        ("4분기 말까지", "4분기 말"),
        ("다음 회의 전까지", "다음 회의 전"),
        ("12월 3일에 마무리하고 5일까지 보고", "5일"),
        ("12월 3일부터 시작", None),
        ("일정이 금요일로 연기", None),
        ("내일 회의 자료를 준비", None),
        ("금요일 회의 자료를 준비", None),
        ("지난주 금요일에 보냈습니다", None),
        ("일정을 3일 앞당기겠습니다", None),
        ("3월 매출은 8% 감소", None),
        ("주말이 아니라 예산이 문제", None),
    ],
)
def test_korean_due_dates(text: str, due: str | None) -> None:
    found = due_date(korean_dates(text))
    assert (found.text if found else None) == due


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("send it by Friday", "Friday"),
        ("by next Wednesday", "next Wednesday"),
        ("before December 3rd", "December 3rd"),
        ("by the end of the month", "the end of the month"),
        ("by the 15th", "the 15th"),
        ("go up by 10%", None),
        ("hire 2 people", None),
    ],
)
def test_english_due_dates(text: str, due: str | None) -> None:
    found = due_date(english_dates(text))
    assert (found.text if found else None) == due


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("김과장이 이대리님께 전달하겠습니다", [("김과장", "subject"), ("이대리", "recipient")]),
        ("강 차장님께서 공유해 주시기 바랍니다", [("강 차장", "subject")]),
        ("임 매니저님, 확인 부탁드립니다", [("임 매니저", "called")]),
        ("김 과장과 이 대리가 준비하기로 했습니다", [("김 과장과 이 대리", "subject")]),
        ("팀장님께서 승인해 주셨습니다", [("팀장", "subject")]),
        ("기획안은 David가 검토할게요", [("David", "subject")]),
        ("저희 쪽에서 보내드릴게요", [("", "subject")]),
        ("품질관리팀에서 점검표를 작성하겠습니다", [("품질관리팀", "subject")]),
        ("담당자는 이영희 과장으로 하겠습니다", [("이영희 과장", "complement")]),
        ("개발팀장님이 하겠습니다", [("개발팀장", "subject")]),
        ("지혜 씨가 준비합니다", [("지혜", "subject")]),
        ("김 과장님의 보고서", [("김 과장", "other")]),
        ("신입 사원 3명을 채용할 예정입니다", []),
        ("전 사원이 참석했습니다", []),
        ("사무실 이사를 준비하겠습니다", []),
        ("기획팀과 협의가 필요합니다", []),
    ],
)
def test_people_and_their_roles(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(who.name, who.role) for who in mentions(text, morphemes(text))] == expected


@pytest.mark.parametrize(
    ("line", "settles"),
    [
        ("예산을 300만 원으로 결정했습니다.", True),
        ("비용을 10% 줄이기로 했습니다.", True),
        ("운영팀 인원을 6명 충원하기로 결정했습니다.", True),
        ("일정은 12월 3일로 확정되었습니다.", True),
        ("홈페이지 개편 건은 승인되었습니다.", True),
        ("그 방향에 모두 합의했습니다.", True),
        ("워크숍 건은 보류하겠습니다.", True),
        ("일정이 다음 주로 연기되었습니다.", True),
        ("회식은 취소하기로 했어요", True),
        ("아직 결정하지 못했습니다.", False),
        ("승인되지 않았습니다.", False),
        ("안건이 승인되었습니까?", False),
        ("다음 주에 결정해야 합니다.", False),
        ("결정 사항을 정리하겠습니다.", False),
        ("동의합니다.", False),
        ("김 과장이 보고서를 제출하기로 했습니다.", False),
        ("매출이 10% 증가했습니다.", False),
    ],
)
def test_korean_decisions(line: str, settles: bool) -> None:
    assert bool(decisions(sentences_of(conversation([f"A: {line}"])))) is settles


@pytest.mark.parametrize(
    ("line", "settles"),
    [
        ("We agreed to postpone the workshop.", True),
        ("The budget was approved.", True),
        ("We have decided to hire two people.", True),
        ("The budget was not approved.", False),
        ("Was the budget approved?", False),
        ("The deadline is Friday.", False),
    ],
)
def test_english_decisions(line: str, settles: bool) -> None:
    assert bool(decisions(sentences_of(conversation([f"A: {line}"], "en")))) is settles


@pytest.mark.parametrize(
    ("line", "topics"),
    [
        ("오늘 회의 안건은 보안 점검과 연말 행사입니다.", ("보안 점검", "연말 행사")),
        ("오늘 안건은 예산, 채용, 그리고 사무실 이전입니다.", ("예산", "채용", "사무실 이전")),
        ("마지막 안건은 직원 교육입니다.", ("직원 교육",)),
        ("직원 교육 안건부터 논의하겠습니다.", ("직원 교육",)),
        ("오늘 안건은 모두 3가지입니다.", ()),
        ("다음 안건으로 넘어가겠습니다.", ()),
    ],
)
def test_announced_topics(line: str, topics: tuple[str, ...]) -> None:
    assert announced_topics(sentences_of(conversation([f"A: {line}"]))) == topics


def test_the_next_meeting_is_the_last_one_named() -> None:
    lines = (
        "A: 다음 회의는 월요일 오전 10시에 열겠습니다.",
        "B: 그 건은 다음 회의에서 다시 논의하겠습니다.",
        "A: 그럼 다음 회의는 화요일 오후 2시로 하겠습니다.",
    )
    assert next_meeting(sentences_of(conversation(lines))) == "화요일 오후 2시"
    assert next_meeting(sentences_of(conversation(lines[1:2]))) is None


def test_keywords_are_frequent_terms() -> None:
    lines = [
        "A: 서버 이전 일정이 밀렸습니다.",
        "B: 서버 이전 예산이 부족합니다.",
        "A: 서버 이전은 연말에 끝납니다.",
        "B: 네, 알겠습니다.",
    ]
    found = keywords(sentences_of(conversation(lines)))
    assert found[0] == "서버 이전"
    assert "서버" not in found  # only inside the longer term


def test_lexrank_prefers_the_sentence_that_shares_words_with_others() -> None:
    documents = [["budget", "server"], ["budget", "hiring"], ["budget", "server", "hiring"], ["weather"], []]
    ranks = lexrank(documents)
    assert max(range(5), key=lambda n: ranks[n]) == 2
    assert min(ranks) == ranks[3] == ranks[4]
    assert sum(ranks) == pytest.approx(1.0)
    assert lexrank([]) == [] and lexrank([[], []]) == [0.5, 0.5]


def test_lexrank_agrees_with_the_dense_definition() -> None:
    import numpy as np

    documents = [["a", "b"], ["b", "c", "c"], ["a", "c"], ["d", "a"]]
    words = sorted({word for document in documents for word in document})
    counts = np.array([[document.count(word) for word in words] for document in documents], float)
    vectors = counts * (np.log(len(documents) / (counts > 0).sum(0)) + 1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, 0)
    transition = similarity / similarity.sum(1, keepdims=True)
    rank = np.full(4, 0.25)
    for _ in range(200):
        rank = 0.15 / 4 + 0.85 * transition.T @ rank
    assert lexrank(documents) == pytest.approx(rank.tolist(), abs=1e-5)


def test_sentences_start_with_their_first_word() -> None:
    words = tuple(
        Word(start, start + 0.4, text, 1.0)
        for start, text in ((1.0, " 좋습니다."), (6.5, " 보고서를"), (7.0, " 보냅니다."))
    )
    transcript = Transcript(
        "ko", 1.0, 9.0, "test", (Segment(1.0, 8.0, "좋습니다. 보고서를 보냅니다.", words, "SPEAKER_00"),)
    )
    assert [(one.text, one.start) for one in sentences_of(transcript)] == [
        ("좋습니다.", 1.0),
        ("보고서를 보냅니다.", 6.5),
    ]


def test_a_long_pause_and_a_change_of_speaker_end_a_sentence() -> None:
    pieces = [
        (0.0, "예산을", "SPEAKER_00"),
        (1.0, "검토합니다", "SPEAKER_00"),
        (2.0, "내일", "SPEAKER_01"),
        (3.0 + MAX_PAUSE_SECONDS + 0.1, "봅시다", "SPEAKER_01"),
    ]
    segments = tuple(Segment(start, start + 1.0, text, speaker=speaker) for start, text, speaker in pieces)
    texts = [one.text for one in sentences_of(Transcript("ko", 1.0, 9.0, "test", segments))]
    assert texts == ["예산을 검토합니다", "내일", "봅시다"]
