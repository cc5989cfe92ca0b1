"""Each reason alone; normal segments have none."""

import pytest

from stt_pipeline.speech.hallucination import Reason
from stt_pipeline.speech.hallucination.audio_evidence import AudioEvidence
from stt_pipeline.speech.hallucination.reasons import Finding, find_reasons, is_impossible, syllables
from stt_pipeline.speech.transcript import Segment
from stt_pipeline_tests.speech.hallucination import normal_text
from stt_pipeline_tests.speech.hallucination.chunks import MUSIC, QUIET, VOICE, said, sound
from stt_pipeline_tests.speech.sample_meetings import all_meetings


def only(segment: Segment, evidence: AudioEvidence, hotwords: tuple[str, ...] = ()) -> Finding:
    (finding,) = find_reasons([segment], evidence, hotwords)
    return finding


def test_normal_sentences_have_no_reason() -> None:
    for sentence in normal_text.sentences():
        seconds = 0.5 + syllables(sentence) / 8  # faster than most speakers
        finding = only(
            said(0.1, seconds, sentence), sound((seconds, VOICE), (0.2, QUIET)), ("이 대리", "예산")
        )
        assert not finding.suspicious, (sentence, finding.reasons)


def test_whole_meetings_have_no_reason() -> None:
    for meeting in all_meetings():
        end = meeting.segments[-1].end + 1
        found = find_reasons(meeting.segments, sound((end, VOICE)), ())
        assert [(one.segment.text, one.reasons) for one in found if one.reasons] == []


@pytest.mark.parametrize(
    ("segment", "reason"),
    [
        (said(0, 5, "시청해 주셔서 감사합니다. " * 6), Reason.REPETITION),
        (said(0, 5, "시청해 주셔서 감사합니다. " * 6), Reason.COMPRESSION),
        (said(0, 5, "예산 안건부터 논의하겠습니다.", logprob=-1.01), Reason.LOG_PROBABILITY),
        (said(0, 2, " ".join(f"word{n}" for n in range(40))), Reason.SPEED),
        (said(0, 1, "그래서 저희가 생각한 대안은 두 가지인데 하나는 빼고 여는 것이고"), Reason.SPEED),
        (said(6, 9, "예산 안건부터 논의하겠습니다."), Reason.NO_VOICE),
    ],
)
def test_strong_reasons(segment: Segment, reason: Reason) -> None:
    finding = only(segment, sound((5, VOICE), (5, QUIET)))
    assert reason in finding.reasons
    assert finding.suspicious


@pytest.mark.parametrize(
    ("text", "seconds", "impossible"),
    [
        ("네, 알겠습니다.", 1.3, False),
        ("네.", 0.1, False),
        ("시청해 주셔서 감사합니다.", 0.1, True),
        ("시청해 주셔서 감사합니다.", 0.25, True),
        ("감사합니다.", 0.5, False),
        ("word " * 223, 0.1, True),
        ("word " * 100, 30.0, False),
    ],
)
def test_text_that_nobody_can_say_in_the_time(text: str, seconds: float, impossible: bool) -> None:
    assert is_impossible(text, seconds) == impossible


def test_speed_is_relative_to_the_speech() -> None:
    text = "그래서 저희가 생각한 대안은 두 가지입니다."
    assert Reason.SPEED not in only(said(0, 10, text), sound((3, VOICE), (7, QUIET))).reasons
    assert Reason.SPEED in only(said(0, 10, text), sound((0.5, VOICE), (9.5, QUIET))).reasons


def test_weak_reasons_need_another() -> None:
    speech, music = sound((5, VOICE)), sound((5, MUSIC))
    phrase = "시청해 주셔서 감사합니다."
    assert not only(said(0, 5, phrase), speech).suspicious
    assert not only(said(0, 5, "예산 안건부터 논의하겠습니다."), music).suspicious
    assert not only(said(0, 5, "예산 안건부터 논의하겠습니다.", no_speech=0.9), speech).suspicious
    assert only(said(0, 5, phrase), music).reasons == (Reason.PHRASE, Reason.WEAK_VOICE)
    assert only(said(0, 5, phrase, no_speech=0.9), speech).reasons == (Reason.PHRASE, Reason.NO_SPEECH)
    assert only(said(0, 5, phrase), music).suspicious


def test_echoes_of_hotwords() -> None:
    hotwords = ("김민수 과장", "쿠버네티스", "예산", "")
    speech = sound((5, VOICE))
    for echo in ("김민수 과장, 쿠버네티스, 예산", "쿠버네티스 쿠버네티스", "네, 김민수 과장, 쿠버네티스"):
        assert only(said(0, 5, echo), speech, hotwords).reasons == (Reason.HOTWORDS,)
        assert only(said(0, 5, echo), speech).reasons == ()
    for normal in (
        "김민수 과장님.",
        "쿠버네티스 예산은 김민수 과장이 다음 주까지 정리해 주시기 바랍니다.",
    ):
        assert only(said(0, 5, normal), speech, hotwords).reasons == ()


def test_reasons_over_several_segments() -> None:
    segments = [
        said(0, 2, "예산 안건부터 논의하겠습니다."),
        *(said(n, n + 1, "다음 영상에서 만나요.") for n in range(2, 7)),
    ]
    found = find_reasons(segments, sound((8, VOICE)), ())
    assert [Reason.REPETITION in one.reasons for one in found] == [False, True, True, True, True, True]


def test_a_segment_has_a_margin_but_not_its_neighbours() -> None:
    evidence = sound((2, VOICE), (1, QUIET), (2, VOICE))
    early, late = find_reasons([said(0, 2, "네."), said(2.05, 2.7, "네.")], evidence, ())
    assert early.stats.strict_seconds > 1.9
    assert late.stats.has_no_speech
    assert not only(said(2.5, 2.95, "네."), evidence).stats.has_no_speech, "Whisper may be a little early"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("네.", 1),
        ("안녕하세요", 5),
        ("API 서버", 3),
        ("thank you", 3),
        ("100만 원", 3),
        ("2026년", 4),
        ("ご視聴", 3),
    ],
)
def test_syllables(text: str, count: int) -> None:
    assert syllables(text) == count


def test_no_segments() -> None:
    assert find_reasons([], sound((5, VOICE)), ("예산",)) == []
