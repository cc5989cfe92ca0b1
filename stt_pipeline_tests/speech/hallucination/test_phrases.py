"""Known hallucinations of Whisper, and text that only looks like them."""

import pytest

from stt_pipeline.speech.hallucination.phrases import is_known_hallucination, is_video_phrase
from stt_pipeline_tests.speech.hallucination import normal_text


@pytest.mark.parametrize(
    "text",
    [
        "시청해 주셔서 감사합니다.",
        "시청해주셔서감사합니다",
        "MBC 뉴스 이덕영입니다.",
        "워싱턴에서 MBC 뉴스 김수영입니다",
        "구독과 좋아요!",
        "구독과 좋아요 부탁드립니다. 감사합니다.",
        "한글자막 by 한효정",
        "자막 제공 및 광고를 포함하고 있습니다.",
        "Thanks for watching!",
        "THANK YOU FOR WATCHING",
        "Subtitles by the Amara.org community",
        "Transcription by CastingWords",
        "Thank you. Bye-bye.",
        "You",
    ],
)
def test_a_known_hallucination(text: str) -> None:
    assert is_known_hallucination(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "시청자 수가 늘었습니다.",
        "자료를 시청해 주셔서 감사합니다만 아직 끝이 아닙니다.",
        "MBC 뉴스에 나왔다고 합니다.",
        "자막을 먼저 확인하겠습니다.",
        "번역은 김 과장님이 맡으셨습니다.",
        "We will add subtitles by the end of the week.",
        "Thank you for the report.",
    ],
)
def test_normal_sentences(text: str) -> None:
    assert not is_known_hallucination(text)


def test_courtesies_are_not_video_phrases() -> None:
    assert is_known_hallucination("감사합니다.")
    assert not is_video_phrase("감사합니다.")
    assert is_video_phrase("다음 영상에서 만나요!")


def test_nearly_no_normal_sentence_is_one() -> None:
    assert {text for text in normal_text.sentences() if is_known_hallucination(text)} <= {
        "수고하셨습니다.",
        "감사합니다.",
        "Thank you.",
    }
