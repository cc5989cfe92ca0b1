"""The order of segments of several channels."""

from stt_pipeline.speech.engine.turn_taking import in_turns
from stt_pipeline.speech.transcript import Segment, Word


def segment(channel: int | None, *words: tuple[str, float, float]) -> Segment:
    spoken = tuple(Word(start, end, f" {text}", 0.9) for text, start, end in words)
    text = "".join(word.text for word in spoken).strip()
    return Segment(spoken[0].start, spoken[-1].end, text, spoken, channel=channel)


def said(segments: tuple[Segment, ...]) -> list[tuple[int | None, str, float, float]]:
    return [(one.channel, one.text, one.start, one.end) for one in segments]


QUESTION = segment(0, ("Ready?", 0.0, 1.0), ("Then", 4.0, 4.5), ("go.", 4.5, 5.0))


def test_a_segment_is_cut_where_the_other_channel_answers() -> None:
    answer = segment(1, ("Yes,", 1.5, 2.0), ("ready.", 2.0, 3.0))
    assert said(in_turns([QUESTION, answer])) == [
        (0, "Ready?", 0.0, 1.0),
        (1, "Yes, ready.", 1.5, 3.0),
        (0, "Then go.", 4.0, 5.0),
    ]


def test_words_are_kept() -> None:
    answer = segment(1, ("Yes.", 1.5, 2.0))
    words = [word for one in in_turns([QUESTION, answer]) if one.channel == 0 for word in one.words]
    assert tuple(words) == QUESTION.words


def test_a_word_without_a_length_is_kept() -> None:
    """Whisper's alignment gives some words no time."""
    for word in (("Then", 4.0, 4.0), ("Then", 4.0, 4.5)):
        question = segment(0, ("Ready?", 0.0, 1.0), word)
        answer = segment(1, ("Yes.", 1.5, 2.0))
        parts = in_turns([question, answer])
        assert "".join(one.text for one in parts if one.channel == 0).replace(" ", "") == "Ready?Then"
        assert all(one.start < one.end for one in parts)


def test_a_pause_without_an_answer_cuts_nothing() -> None:
    later = segment(1, ("Yes.", 6.0, 7.0))
    assert in_turns([later, QUESTION]) == (QUESTION, later)


def test_a_word_said_into_a_sentence_cuts_nothing() -> None:
    steady = segment(0, ("one", 0.0, 1.0), ("two", 1.3, 2.0), ("three", 2.0, 3.0))
    inside = segment(1, ("yes", 1.0, 1.3))
    assert in_turns([steady, inside]) == (steady, inside)


def test_one_channel_is_not_changed() -> None:
    for channel in (None, 0):
        one = segment(channel, ("Ready?", 0.0, 1.0), ("go.", 4.5, 5.0))
        two = segment(channel, ("Yes.", 6.0, 7.0))
        assert in_turns([two, one]) == (one, two)


def test_a_segment_without_words_is_kept() -> None:
    bare = Segment(0.0, 9.0, "text", channel=1)
    assert in_turns([QUESTION, bare]) == (QUESTION, bare)
