"""The language of a recording whose chunks do not agree."""

from itertools import permutations

import pytest

from stt_pipeline.speech.engine.languages import LanguageSamples, LanguageVote, is_clear, limited_to


def vote(*votes: tuple[float, dict[str, float]]) -> tuple[str, float]:
    counted = LanguageVote()
    for index, (seconds, languages) in enumerate(votes):
        counted.add(index, seconds, languages)
    return counted.result()


def test_no_votes() -> None:
    assert vote() == ("", 0.0)


def test_more_speech_weighs_more() -> None:
    assert vote((20.0, {"ko": 0.9, "en": 0.1}), (9.0, {"en": 1.0}), (9.0, {"en": 1.0}))[0] == "en"
    assert vote((29.0, {"ko": 0.9, "en": 0.1}), (9.0, {"en": 1.0}), (9.0, {"en": 1.0}))[0] == "ko"


def test_the_share_is_how_sure_it_is() -> None:
    assert vote((10.0, {"ko": 0.8, "en": 0.2}), (10.0, {"ko": 1.0}))[1] == pytest.approx(0.9)


def test_short_and_uncertain_chunks_do_not_count_beside_clear_ones() -> None:
    short = [(2.9, {"ja": 1.0})] * 50
    uncertain = [(10.0, {"zh": 0.4, "ja": 0.35, "ko": 0.25})] * 50
    assert vote(*short, *uncertain, (3.0, {"ko": 0.6, "en": 0.4})) == ("ko", pytest.approx(0.6))


def test_where_all_are_short_all_count() -> None:
    assert vote((1.0, {"en": 0.9, "ko": 0.1}), (2.0, {"ko": 0.9, "en": 0.1}))[0] == "ko"


def test_the_order_makes_no_difference() -> None:
    votes = [(3.1, {"ko": 0.7, "en": 0.3}), (7.7, {"en": 0.55, "ko": 0.45}), (4.9, {"ko": 0.9, "en": 0.1})]
    found = set()
    for order in permutations(range(3)):
        counted = LanguageVote()
        for index in order:
            counted.add(index, *votes[index])
        found.add(counted.result())
    assert len(found) == 1


def test_a_chunk_votes_once() -> None:
    counted = LanguageVote()
    for _ in range(5):
        counted.add(0, 4.0, {"en": 1.0})
    counted.add(1, 5.0, {"ko": 1.0})
    assert counted.result()[0] == "ko"


def test_the_leading_language_so_far() -> None:
    counted = LanguageVote()
    assert counted.leading() == ""
    counted.add(0, 1.0, {"en": 0.9, "ko": 0.1})
    assert counted.leading() == "en"
    counted.add(1, 4.0, {"ko": 0.6, "en": 0.4})
    assert counted.leading() == counted.result()[0] == "ko"


def test_what_is_clear() -> None:
    assert is_clear(3.0, {"ko": 0.5})
    assert not is_clear(2.9, {"ko": 1.0})
    assert not is_clear(30.0, {"ko": 0.49, "ja": 0.48})


def sampled(*speech_seconds: float) -> list[int]:
    samples = LanguageSamples()
    return [index for index, seconds in enumerate(speech_seconds) if samples.takes(seconds)]


def test_samples_come_from_the_whole_recording_and_become_rare() -> None:
    assert sampled(20.0) == [0]
    assert sampled(*[20.0] * 5) == [0, 2]
    assert sampled(*[20.0] * 150) == [0, 2, 8, 26, 80]


def test_chunks_with_little_speech_are_no_samples() -> None:
    assert sampled(4.9, 1.0, 0.0) == []
    assert sampled(4.9, 5.0, 2.0, 5.0, 2.0, 5.0, 5.0) == [1, 5]


def test_allowed_languages_share_the_probability() -> None:
    found = {"ja": 0.7, "ko": 0.2, "en": 0.1}
    assert limited_to((), found) == found
    assert limited_to(("ko", "en"), found) == {"ko": pytest.approx(2 / 3), "en": pytest.approx(1 / 3)}
    assert limited_to(("fr", "de"), found) == {"fr": 0.5, "de": 0.5}
