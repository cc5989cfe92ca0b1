"""Korean text is corrected, words keep their times, and the model's text is kept as raw text."""

import json
import random
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from stt_pipeline.speech.korean import correct
from stt_pipeline.speech.recordings import TranscriptionOptions
from stt_pipeline.speech.transcript import Segment, Word
from stt_pipeline_tests.conftest import SAMPLES
from stt_pipeline_tests.speech.korean.model_segments import segment_of

PLAIN = TranscriptionOptions()
EVERYTHING = TranscriptionOptions(
    terms=(("API", ("에이피아이",)), ("Kubernetes", ("쿠버네티스",))), remove_fillers=True
)

SPOKEN = (
    "네 알겠습니다 그럼 예산 안건부터 논의하겠습니다",
    "에이피아이를 호출 하기로했습니다그럼 삼월 십오일까지 이백만 원을 준비해 주세요",
    "음 저는, 어 쿠버네티스로 옮기는 게 어떨까요",
    "예산안을금요일까지제출하기로했습니다",
    "팔십 퍼센트 진행되었습니다 세 시 반에 뵙겠습니다 감사합니다",
    "이사님 일을 마치고 만나서 이야기 합시다",
    "음 어",
    "3시 에 만나요",
)


def text_of(segments: tuple[Segment, ...]) -> str:
    return " ".join(segment.text for segment in segments)


def check(before: Segment, after: tuple[Segment, ...]) -> None:
    """Check the properties of every correction."""
    assert (after[0].start, after[-1].end) == (before.start, before.end)
    times = [time for segment in after for word in segment.words for time in (word.start, word.end)]
    assert times == sorted(times)
    known = {time for word in before.words for time in (word.start, word.end)}
    assert times[0] in known and times[-1] in known
    probabilities = {word.probability for word in before.words}
    for segment in after:
        assert segment.text == segment.text.strip() != ""
        assert "".join(word.text for word in segment.words).strip() == segment.text
        assert segment.start <= segment.words[0].start <= segment.words[-1].end <= segment.end
        assert all(word.probability in probabilities for word in segment.words)
    if text_of(after) != before.text:
        assert any(segment.raw_text for segment in after)


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("예산안을금요일까지제출하기로했습니다", "예산안을 금요일까지 제출하기로 했습니다."),
        ("에이피아이를 호출 했습니다", "에이피아이를 호출했습니다."),
        ("3시 에 만나요", "3시에 만나요."),
        ("할수있는 것만 하겠습니다.", "할 수 있는 것만 하겠습니다."),
        ("언제 가능합니까", "언제 가능합니까?"),
        ("재무팀에서 설명드리고 비용을 3% 줄였다", "재무팀에서 설명드리고 비용을 3% 줄였다"),
        ("음 예산은 어 그대로입니다.", "음 예산은 어 그대로입니다."),
    ],
)
def test_spacing_and_sentence_ends(spoken: str, written: str) -> None:
    before = segment_of(spoken)
    after = correct([before], PLAIN)
    assert text_of(after) == written
    check(before, after)


def test_correct_text_does_not_change() -> None:
    segments = [
        Segment(row["start"], row["end"], row["text"], language="ko")
        for path in sorted((SAMPLES / "reference").glob("*.json"))
        for row in json.loads(path.read_text(encoding="utf-8"))["segments"]
    ]
    assert len(segments) > 100
    assert correct(segments, PLAIN) == tuple(segments)


def test_each_part_of_a_split_eojeol_has_its_syllables_share_of_the_time() -> None:
    (after,) = correct([segment_of("예산안을금요일까지", start=0.0)], PLAIN)
    assert after.words == (
        Word(0.0, 1.0, " 예산안을", 0.9),
        Word(1.0, 2.25, " 금요일까지", 0.9),
    )
    assert after.raw_text == "예산안을금요일까지"


def test_a_merged_eojeol_has_the_time_of_both_and_the_lower_probability() -> None:
    before = segment_of("자료를 호출 했습니다.", start=0.0)
    (after,) = correct([before], PLAIN)
    assert [word.text for word in after.words] == [" 자료를", " 호출했습니다."]
    merged = after.words[1]
    assert (merged.start, merged.end) == (before.words[1].start, before.words[2].end)
    assert merged.probability == before.words[2].probability < before.words[1].probability


def test_words_that_are_not_changed_keep_everything() -> None:
    before = segment_of("그 에이피아이를 삼월 십오일에 봅니다.")
    (after,) = correct([before], EVERYTHING)
    assert after.text == "그 API를 3월 15일에 봅니다."
    assert after.words[0] == before.words[0] and after.words[-1] == before.words[-1]
    assert [(w.start, w.end) for w in after.words] == [(w.start, w.end) for w in before.words]


def test_a_segment_with_several_sentences_is_split() -> None:
    before = segment_of("예산 안건부터 논의하겠습니다 이 대리님 진행 상황을 공유해 주세요 네")
    first, second = correct([before], PLAIN)
    assert (first.text, first.raw_text) == ("예산 안건부터 논의하겠습니다.", "예산 안건부터 논의하겠습니다")
    # a single syllable is no line of its own
    assert second.text == "이 대리님 진행 상황을 공유해 주세요. 네"
    assert (first.end, second.start) == (before.words[2].end, before.words[3].start)
    assert second.words[0].text == "이"


@pytest.mark.parametrize(
    ("spoken", "language", "written"),
    [
        ("음 예산은 어... 그 사람이 정합니다.", "ko", "예산은 그 사람이 정합니다."),
        ("그, 제 생각에는 음식이 좋습니다.", "ko", "제 생각에는 음식이 좋습니다."),
        ("저 사람은 어제 왔습니다.", "ko", "저 사람은 어제 왔습니다."),
        ("Um, we uh agree.", "en", "we agree."),
        ("Er geht um die Ecke.", "de", "Er geht um die Ecke."),
    ],
)
def test_fillers_are_removed_on_request(spoken: str, language: str, written: str) -> None:
    before = segment_of(spoken, language=language)
    assert text_of(correct([before], TranscriptionOptions(correct=False))) == spoken
    after = correct([before], TranscriptionOptions(remove_fillers=True))
    assert text_of(after) == written
    assert set(after[0].words[1:]) <= set(before.words)
    check(before, after)


def test_a_segment_of_fillers_only_is_dropped() -> None:
    assert correct([segment_of("음 어...")], EVERYTHING) == ()


def test_without_correction_terms_still_apply_and_kiwi_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stt_pipeline.speech.korean.morphology.load_kiwi", None)
    (after,) = correct(
        [segment_of("에이피아이를 호출 했습니다 삼월 십오일")],
        TranscriptionOptions(correct=False, terms=EVERYTHING.terms),
    )
    assert after.text == "API를 호출 했습니다 삼월 십오일"
    english = segment_of("We met at 3 o'clock", language="en")
    assert correct([english], PLAIN) == (english,)


def test_languages_without_spaces_keep_their_words() -> None:
    words = tuple(Word(i / 4, (i + 1) / 4, sign, 0.9) for i, sign in enumerate("私はえーぴーあいです"))
    before = Segment(0.0, words[-1].end, "私はえーぴーあいです", words, language="ja")
    (after,) = correct([before], TranscriptionOptions(terms=(("私は API です", ("私はえーぴーあいです",)),)))
    assert after.text == "私は API です"
    (same,) = correct([before], TranscriptionOptions(terms=(("API", ("에이피아이",)),)))
    assert same == before


def test_words_that_do_not_match_the_text_do_not_change() -> None:
    odd = Segment(0, 1, "예산안을금요일까지", (Word(0, 1, "다른", 0.5),), language="ko")
    assert correct([odd], PLAIN) == (odd,)
    empty = Segment(0, 1, "", language="ko")
    assert correct([empty], PLAIN) == (empty,)


def test_the_raw_text_of_an_earlier_correction_is_kept() -> None:
    first = correct(
        [segment_of("에이피아이를 호출 했습니다")],
        TranscriptionOptions(correct=False, terms=EVERYTHING.terms),
    )
    (second,) = correct(first, PLAIN)
    assert (second.text, second.raw_text) == ("API를 호출했습니다.", "에이피아이를 호출 했습니다")
    assert correct([second], PLAIN) == (second,)


@pytest.mark.slow
def test_any_spaces_and_any_options_keep_the_times() -> None:
    """With any missing or extra spaces, the properties of `check` hold."""
    draw = random.Random(6)
    tried = 0
    for _ in range(60):
        for spoken in SPOKEN:
            spaced = "".join(
                "" if sign == " " and draw.random() < 0.3 else sign + " " * (draw.random() < 0.05)
                for sign in spoken
            )
            before = segment_of(
                re.sub(" +", " ", spaced).strip(),
                start=draw.choice((0.0, 3.33, 12.345)),
                pace=draw.choice((0.0, 0.07, 0.333)),
            )
            after = correct([before], draw.choice((PLAIN, EVERYTHING)))
            if after:
                check(before, after)
                tried += 1
    assert tried > 300


@pytest.mark.slow
def test_words_may_be_cut_anywhere() -> None:
    """Not every tokenizer splits words at spaces."""
    draw = random.Random(7)
    for _ in range(40):
        for spoken in SPOKEN[:6]:
            cuts = sorted(
                {0, len(spoken), *(draw.randrange(1, len(spoken)) for _ in range(draw.randrange(6)))}
            )
            words = tuple(
                Word(float(first), float(last), spoken[first:last], draw.random())
                for first, last in pairwise(cuts)
            )
            before = Segment(0.0, float(len(spoken)), spoken, words, language="ko")
            check(before, correct([before], PLAIN))


@pytest.mark.slow
def test_many_threads_at_once() -> None:
    segments = [segment_of(spoken) for spoken in SPOKEN]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: correct(segments, EVERYTHING), range(24)))
    assert all(result == found[0] for result in found)
