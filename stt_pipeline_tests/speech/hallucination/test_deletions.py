"""A sentence that the model skipped is decoded again; slow speech is not."""

import pytest

from stt_pipeline.speech.hallucination import Attempt, examine
from stt_pipeline.speech.transcript import Segment
from stt_pipeline_tests.speech.hallucination.chunks import QUIET, VOICE, Model, said, sound

TWO_SENTENCES = sound((2.3, VOICE), (0.5, QUIET), (1.5, VOICE), (0.4, QUIET))
SKIPPED = said(0.0, 4.3, "이상으로 회의를 마치겠습니다.")


def both(attempt: Attempt) -> list[Segment]:
    """Write the first sentence for the time before the pause, and the second for the time after it."""
    if attempt.start < 1:
        return [said(0.0, 2.3, "이상으로 회의를 마치겠습니다.")]
    return [said(2.8, 4.3, "수고하셨습니다.")]


def test_a_skipped_sentence_is_recovered() -> None:
    model = Model(both)
    kept = examine([SKIPPED], TWO_SENTENCES, model, hotwords=())
    assert [one.segment.text for one in kept] == ["이상으로 회의를 마치겠습니다.", "수고하셨습니다."]
    assert [one.segment.hallucination_reasons for one in kept] == [(), ()]
    cut = model.asked[0].end
    assert cut == pytest.approx(2.55, abs=0.05), "in the middle of the pause"
    assert [(one.start, one.end) for one in model.asked] == [(0.0, cut), (cut, 4.3)]


@pytest.mark.parametrize(
    "again",
    [
        [],
        [said(0.0, 4.3, "이상으로 회의를 마치겠습니다.")],
        [said(0.0, 2.3, "이상으로 회의를 마치겠습니다."), said(2.8, 4.3, "수고하셨습니다.", logprob=-2.0)],
    ],
    ids=["nothing", "the same", "more text with a low probability"],
)
def test_without_more_text_the_first_text_is_kept(again: list[Segment]) -> None:
    model = Model(lambda attempt: again if attempt.start < 1 else [])
    kept = examine([SKIPPED], TWO_SENTENCES, model, hotwords=())
    assert [one.segment for one in kept] == [SKIPPED]


def test_slow_speech_without_a_pause_is_not_decoded_again() -> None:
    model = Model(both)
    examine([SKIPPED], sound((4.7, VOICE)), model, hotwords=())
    assert model.asked == []


def test_numbers_are_longer_than_they_look() -> None:
    model = Model(both)
    evidence = sound((1.6, VOICE), (0.3, QUIET), (2.2, VOICE), (0.4, QUIET))
    examine([said(0.0, 4.1, "연말 행사는 현재 30% 진행되었습니다.")], evidence, model, hotwords=())
    assert model.asked == []


def test_a_pause_within_enough_text_is_not_decoded_again() -> None:
    model = Model(both)
    examine(
        [said(0.0, 4.3, "이상으로 회의를 마치겠습니다. 수고하셨습니다.")], TWO_SENTENCES, model, hotwords=()
    )
    assert model.asked == []


def test_neighbours_keep_their_place() -> None:
    before, after = (
        said(0.0, 2.3, "다음 주 금요일까지 보내겠습니다."),
        said(7.2, 9.0, "네, 그렇게 하겠습니다."),
    )
    evidence = sound(
        (2.5, VOICE), (0.4, QUIET), (2.0, VOICE), (0.4, QUIET), (1.5, VOICE), (0.4, QUIET), (2, VOICE)
    )
    skipped = said(2.9, 6.8, "이상으로 회의를 마치겠습니다.")

    def again(attempt: Attempt) -> list[Segment]:
        first = said(2.9, 4.9, "이상으로 회의를 마치겠습니다.")
        return [first] if attempt.start < 4 else [said(5.3, 6.8, "수고하셨습니다.")]

    kept = examine([before, skipped, after], evidence, Model(again), hotwords=())
    starts = [one.segment.start for one in kept]
    assert starts == [0.0, 2.9, 5.3, 7.2]
