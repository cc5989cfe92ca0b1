"""Assignment of speakers to words, on hand-made transcripts and turns."""

from dataclasses import replace

import pytest

from stt_pipeline.speech.speakers import assign_speakers
from stt_pipeline.speech.transcript import Segment, SpeakerTurn, Transcript, Word

A, B = "SPEAKER_00", "SPEAKER_01"
TURNS = (SpeakerTurn(0.0, 5.0, A), SpeakerTurn(6.0, 10.0, B))


def words(*texts: str, start: float = 0.0, each: float = 1.0) -> tuple[Word, ...]:
    return tuple(Word(start + i * each, start + (i + 1) * each, text, 0.9) for i, text in enumerate(texts))


def segment_of(spoken: tuple[Word, ...]) -> Segment:
    return Segment(
        spoken[0].start,
        spoken[-1].end,
        "".join(word.text for word in spoken).strip(),
        spoken,
        avg_logprob=-0.2,
        no_speech_prob=0.1,
        compression_ratio=1.3,
    )


def transcript(*segments: Segment) -> Transcript:
    return Transcript("ko", 1.0, 20.0, "demo", segments)


def spoken(result: Transcript) -> list[tuple[str | None, str]]:
    return [(segment.speaker, segment.text) for segment in result.segments]


def test_a_segment_in_one_turn_belongs_to_its_speaker_and_stays_whole() -> None:
    given = segment_of(words(" 네,", " 알겠습니다.", start=6.5))
    result = assign_speakers(transcript(given), TURNS)
    assert spoken(result) == [(B, "네, 알겠습니다.")]
    assert [word.speaker for word in result.segments[0].words] == [B, B]
    assert (result.segments[0].start, result.segments[0].end) == (given.start, given.end)


def test_a_segment_is_split_where_the_speaker_changes_and_words_keep_their_times() -> None:
    given = segment_of(words(" 언제까지", " 가능합니까?", " 다음", " 주까지", " 가능합니다.", start=3.0))
    result = assign_speakers(transcript(given), TURNS)
    assert spoken(result) == [(A, "언제까지 가능합니까?"), (B, "다음 주까지 가능합니다.")]
    first, second = result.segments
    assert (first.start, first.end, second.start, second.end) == (3.0, 5.0, 5.0, 8.0)
    assert [(w.start, w.end, w.text) for s in result.segments for w in s.words] == [
        (w.start, w.end, w.text) for w in given.words
    ]
    assert {(s.avg_logprob, s.no_speech_prob, s.compression_ratio) for s in result.segments} == {
        (-0.2, 0.1, 1.3)
    }


def test_parts_of_a_segment_share_its_reasons_but_only_the_first_has_the_raw_text() -> None:
    given = segment_of(words(" 언제까지", " 가능합니까?", " 다음", " 주까지", " 가능합니다.", start=3.0))
    doubtful = replace(
        given, raw_text="언제까지 가능합니까 담주까지 가능합니다", hallucination_reasons=("speed",)
    )
    result = assign_speakers(transcript(doubtful), TURNS)
    assert [segment.raw_text for segment in result.segments] == [doubtful.raw_text, ""]
    assert [segment.hallucination_reasons for segment in result.segments] == [("speed",), ("speed",)]


def test_rough_word_times_do_not_split_a_sentence() -> None:
    # the last word's time slips into the next speaker's turn
    result = assign_speakers(
        transcript(segment_of(words(" 오늘", " 회의를", " 시작하겠습니다.", start=3.5))), TURNS
    )
    assert spoken(result) == [(A, "오늘 회의를 시작하겠습니다.")]


def test_a_sentence_of_two_speakers_without_punctuation_is_split_by_words() -> None:
    result = assign_speakers(
        transcript(segment_of(words(" 하나", " 둘", " 셋", " 넷", " 다섯", " 여섯", start=2.0, each=1.25))),
        TURNS,
    )
    assert spoken(result) == [(A, "하나 둘 셋"), (B, "넷 다섯 여섯")]


def test_a_single_word_between_words_of_another_speaker_goes_to_that_speaker_even_when_labels_alternate() -> (
    None
):
    turns = [SpeakerTurn(float(i), i + 1.0, A if i % 2 == 0 else B) for i in range(7)]
    result = assign_speakers(
        transcript(segment_of(words(" 가", " 나", " 다", " 라", " 마", " 바", " 사"))), turns
    )
    assert result.speakers == (A,)
    assert len(result.segments) == 1


def test_words_between_turns_go_to_the_nearest_turn() -> None:
    gap = [segment_of((Word(5.1, 5.3, " 음", 0.5),)), segment_of((Word(5.7, 5.9, " 네", 0.5),))]
    late = segment_of((Word(15.0, 16.0, " 끝", 0.5),))
    assert [s for s, _ in spoken(assign_speakers(transcript(*gap, late), TURNS))] == [A, B, B]


def test_an_early_long_turn_counts_although_later_turns_began_and_ended() -> None:
    turns = [SpeakerTurn(0.0, 20.0, A), SpeakerTurn(1.0, 2.0, B), SpeakerTurn(3.0, 4.0, B)]
    result = assign_speakers(transcript(segment_of(words(" 네.", start=10.0))), turns)
    assert spoken(result) == [(A, "네.")]


def test_a_word_without_length_gets_the_current_speaker() -> None:
    result = assign_speakers(transcript(segment_of((Word(7.0, 7.0, " 네", 0.5),))), TURNS)
    assert spoken(result) == [(B, "네")]


@pytest.mark.parametrize(("start", "end", "speaker"), [(0.0, 7.0, A), (4.5, 9.0, B)])
def test_a_segment_without_words_goes_to_the_speaker_with_the_longest_overlap(
    start: float, end: float, speaker: str
) -> None:
    assert spoken(assign_speakers(transcript(Segment(start, end, "네")), TURNS)) == [(speaker, "네")]


def test_without_turns_speakers_are_removed() -> None:
    named = assign_speakers(transcript(segment_of(words(" 네."))), TURNS)
    result = assign_speakers(named, ())
    assert spoken(result) == [(None, "네.")]
    assert result.segments[0].words[0].speaker is None


def test_assigning_again_changes_nothing() -> None:
    once = assign_speakers(
        transcript(segment_of(words(" 가능합니까?", " 다음", " 주까지요.", start=4.0))), TURNS
    )
    assert assign_speakers(once, TURNS) == once


def test_an_empty_transcript_stays_empty() -> None:
    assert assign_speakers(transcript(), TURNS).segments == ()


def test_words_in_overlapping_turns_are_marked() -> None:
    turns = (SpeakerTurn(0.0, 2.0, "SPEAKER_00"), SpeakerTurn(1.0, 3.0, "SPEAKER_01"))
    spoken = Segment(
        0.0, 3.0, "a b c", (Word(0.0, 1.0, " a", 1), Word(1.0, 2.0, " b", 1), Word(2.0, 3.0, " c", 1))
    )
    words = assign_speakers(Transcript("en", 1.0, 3.0, "demo", (spoken,)), turns)
    assert [word.overlap for segment in words.segments for word in segment.words] == [False, True, False]


def test_words_at_a_change_of_speakers_do_not_overlap() -> None:
    """Half of the word is in one turn, half in the next."""
    result = assign_speakers(
        transcript(segment_of(words(" 네,", " 알겠습니다.", start=4.5))),
        (SpeakerTurn(0, 5, A), SpeakerTurn(5, 10, B)),
    )
    assert [word.overlap for segment in result.segments for word in segment.words] == [False, False]
