"""Confidence marks and quality figures, checked against values computed by hand."""

from dataclasses import replace

import pytest

from stt_pipeline.speech.confidence import LOW_CONFIDENCE_BELOW, mark, quality
from stt_pipeline.speech.transcript import Segment, Transcript, Word, segments_from_json, segments_to_json

WORDS = (Word(0.0, 1.0, " 네,", 0.9), Word(1.0, 4.0, " 확인했습니다.", 0.5))
SEGMENT = Segment(0.0, 4.0, "네, 확인했습니다.", WORDS)


def transcript(*segments: Segment, without_text: float = 0.0) -> Transcript:
    return Transcript("ko", 1.0, 60.0, "demo", segments, untranscribed_speech_seconds=without_text)


def test_words_under_the_threshold_are_marked() -> None:
    (marked,) = mark([SEGMENT])
    assert [word.low_confidence for word in marked.words] == [False, True]
    assert [replace(word, low_confidence=False) for word in marked.words] == list(WORDS)
    assert segments_from_json(segments_to_json([marked])) == (marked,)
    (again,) = mark([marked], below=0.4)
    assert again == SEGMENT
    (sure,) = mark([replace(SEGMENT, words=(Word(0, 1, "네", LOW_CONFIDENCE_BELOW),))])
    assert not sure.words[0].low_confidence


def test_quality_weighs_words_by_their_length() -> None:
    assert quality(transcript(SEGMENT)) == pytest.approx((0.9 * 1 + 0.5 * 3) / 4)


def test_suspect_segments_and_untranscribed_speech_count_as_nothing() -> None:
    suspect = replace(SEGMENT, hallucination_reasons=("repetition",))
    assert quality(transcript(SEGMENT, suspect)) == pytest.approx(0.3)
    assert quality(transcript(SEGMENT, without_text=4.0)) == pytest.approx(0.3)
    assert quality(transcript(without_text=4.0)) == 0.0


def test_a_segment_without_words_has_its_own_probability() -> None:
    assert quality(transcript(Segment(0, 2, "네", avg_logprob=-0.6931))) == pytest.approx(0.5)
    assert quality(transcript(Segment(0, 2, "네", avg_logprob=0.0))) == 1.0


def test_words_without_length_have_a_minimum_weight() -> None:
    assert quality(transcript(Segment(0, 0, "네", (Word(1.0, 1.0, "네", 0.25),)))) == 0.25


def test_without_speech_there_is_no_quality() -> None:
    assert quality(transcript()) is None
