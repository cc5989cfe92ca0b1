"""The extractive minutes as a whole: their contents, and that all of it comes from the transcript."""

import re

import pytest

from stt_pipeline.minutes.extractive import ExtractiveSummarizer
from stt_pipeline.minutes.model import Minutes, minutes_from_json, minutes_to_json
from stt_pipeline.minutes.summarizer import Summarizer
from stt_pipeline.speech.transcript import Segment, Transcript
from stt_pipeline_tests.minutes.conversations import conversation
from stt_pipeline_tests.minutes.natural_meetings import DEVELOPMENT, HELD_OUT, SECOND_HELD_OUT

MEETING = (
    "A: 그럼 회의를 시작하겠습니다.",
    "A: 오늘 회의 안건은 서버 이전과 직원 교육입니다.",
    "A: 서버 이전 안건부터 논의하겠습니다.",
    "B: 서버 이전은 현재 60% 진행되었습니다.",
    "B: 서버 이전 예산이 200만 원 부족합니다.",
    "A: 서버 이전 예산을 500만 원으로 결정했습니다.",
    "B: 네, 알겠습니다.",
    "A: 김 과장님, 견적서 검토는 언제까지 가능합니까?",
    "B: 다음 주 화요일까지 가능합니다.",
    "A: 직원 교육에 대해 말씀해 주세요.",
    "C: 직원 교육 만족도가 80%로 나타났습니다.",
    "C: 직원 교육 자료는 제가 금요일까지 작성하겠습니다.",
    "A: 워크숍 건은 보류하겠습니다.",
    "A: 질문 있습니까?",
    "A: 다음 회의는 12월 3일 오후 2시에 열겠습니다.",
    "A: 이상으로 회의를 마치겠습니다.",
)


@pytest.fixture(params=[ExtractiveSummarizer], ids=lambda kind: kind.name)
def summarizer(request: pytest.FixtureRequest) -> Summarizer:
    made: Summarizer = request.param()
    return made


@pytest.mark.parametrize(("language", "sentence"), [("ko", "이 녹음에서 말소리를 찾지 못했습니다."), ("en", "No speech was found in this recording.")])  # fmt: skip
@pytest.mark.parametrize("segments", [(), (Segment(0.0, 2.0, "  "),)], ids=["none", "blank"])
def test_an_empty_transcript_says_so(
    summarizer: Summarizer, language: str, sentence: str, segments: tuple[Segment, ...]
) -> None:
    minutes = summarizer.summarize(Transcript(language, 0.0, 2.0, "test", segments))
    assert minutes.summary == sentence
    assert minutes.title
    assert not (minutes.action_items or minutes.decisions or minutes.topics or minutes.keywords)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (
            "de",
            "Guten Morgen. Wir sprechen über das Budget. Das Budget ist zu klein. Das Budget wächst im Mai.",
        ),
        ("ja", "会議を始めます。予算について話します。予算は足りません。"),
        ("zh", "我们开始开会。今天讨论预算。"),
        ("ar", "نبدأ الاجتماع. نناقش الميزانية."),
        ("ko", "네."),
        ("en", "[Music]"),
        ("en", "... ?! -- 123"),
    ],
)
def test_any_language_and_any_remark_gives_minutes(summarizer: Summarizer, language: str, text: str) -> None:
    minutes = summarizer.summarize(Transcript(language, 1.0, 9.0, "test", (Segment(0.0, 9.0, text),)))
    assert minutes.title and minutes.summary
    assert minutes.action_items == ()


def test_the_minutes_of_a_meeting() -> None:
    minutes = ExtractiveSummarizer().summarize(conversation(MEETING))
    assert minutes.title == "서버 이전, 직원 교육"
    assert minutes.topics == ("서버 이전", "직원 교육")
    assert minutes.decisions == ("서버 이전 예산을 500만 원으로 결정했습니다.", "워크숍 건은 보류하겠습니다.")
    assert [(item.owner, item.task, item.due, item.start) for item in minutes.action_items] == [
        ("김 과장", "견적서 검토", "다음 주 화요일", 35.0),
        ("SPEAKER_02", "직원 교육 자료 작성", "금요일", 55.0),
    ]
    assert "서버 이전 예산을 500만 원으로 결정했습니다." in minutes.summary
    assert minutes.summary.endswith("다음 회의: 12월 3일 오후 2시.")
    assert {"서버 이전", "직원 교육"} & set(minutes.keywords)
    assert len(minutes.keywords) <= 10
    assert (minutes.model, minutes.tokens_used) == ("extractive", 0)


def test_the_same_transcript_gives_the_same_minutes() -> None:
    transcript = conversation(MEETING)
    assert ExtractiveSummarizer().summarize(transcript) == ExtractiveSummarizer().summarize(transcript)


def test_sentences_are_found_without_punctuation_and_over_segments() -> None:
    pieces = [
        "네 알겠습니다 김 과장이 예산안을",
        "금요일까지 제출하기로 했습니다 그럼 다음",
        "안건은 채용입니다",
    ]
    segments = tuple(
        Segment(n * 3.0, n * 3.0 + 3.0, text, speaker="SPEAKER_00") for n, text in enumerate(pieces)
    )
    minutes = ExtractiveSummarizer().summarize(Transcript("ko", 1.0, 9.0, "test", segments))
    (item,) = minutes.action_items
    assert (item.owner, item.task, item.due) == ("김 과장", "예산안 제출", "금요일")
    assert 0.5 < item.start < 3.0  # where the sentence starts, not its segment
    assert minutes.topics == ("채용",)


def test_english_minutes() -> None:
    lines = (
        "A: Let's start the meeting. The first item is the server migration.",
        "B: The server migration is 50% complete.",
        "A: Tom will send the test results by Friday.",
        "A: We agreed to postpone the workshop.",
        "A: The next meeting is on Monday at 3 PM.",
    )
    minutes = ExtractiveSummarizer().summarize(conversation(lines, "en"))
    assert minutes.title == "the server migration"
    assert minutes.decisions == ("We agreed to postpone the workshop.",)
    assert [(item.owner, item.task, item.due) for item in minutes.action_items] == [
        ("Tom", "send the test results", "Friday")
    ]
    assert minutes.summary.endswith("Next meeting: Monday at 3 PM.")


def all_lines() -> list[str]:
    return [
        line for cases in (DEVELOPMENT, HELD_OUT, SECOND_HELD_OUT) for lines, _ in cases for line in lines
    ]


def test_nothing_is_invented() -> None:
    transcript = conversation([*MEETING, *all_lines()])
    minutes = ExtractiveSummarizer().summarize(transcript)
    spoken = transcript.text
    assert all(decision in spoken for decision in minutes.decisions)
    for item in minutes.action_items:
        assert item.owner is None or item.owner in spoken or item.owner in transcript.speakers
        assert item.due is None or item.due in spoken
        # "담당" and the noun ending 기 are the only additions
        for word in item.task.removesuffix(" 담당").split():
            assert word in spoken or stem_of(word) in spoken, item
    for phrase in (*minutes.keywords, *minutes.topics):
        assert all(word in spoken for word in phrase.split())
    sentences = re.split(r"(?<=[.?])\s", minutes.summary.partition("다음 회의:")[0].strip())
    assert all(sentence.rstrip(".") in spoken for sentence in sentences)


def stem_of(word: str) -> str:
    """A verb as noun (줄이기) and as spoken (줄여) share the letters before the ending, apart from contractions."""
    assert word.endswith("기"), word
    return word[0] if len(word) > 2 else ""


def test_minutes_are_read_from_json_as_written() -> None:
    minutes = ExtractiveSummarizer().summarize(conversation(MEETING))
    assert isinstance(minutes, Minutes)
    assert minutes_from_json(minutes_to_json(minutes)) == minutes
