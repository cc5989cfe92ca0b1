"""Decisions about the segments of a model: loops, hallucinations, fallback attempts, and the audio."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from stt_pipeline.speech.hallucination import Attempt, Candidate, SpeechStats, examine, finalize
from stt_pipeline.speech.transcript import Segment
from stt_pipeline.speech.voice_activity import FRAME_SECONDS
from stt_pipeline_tests.speech.hallucination import normal_text
from stt_pipeline_tests.speech.hallucination.chunks import MUSIC, QUIET, VOICE, Model, always, said, sound

SPEECH = sound((20, VOICE))
SILENCE = sound((20, QUIET))
LOOP = [said(2 * n, 2 * n + 2, "다음 영상에서 만나요.") for n in range(10)]
GOOD = [
    said(0, 10, "결제 모듈 연동이 끝나지 않아서 출시는 조금 어려울 것 같다는 의견이 있었고요"),
    said(10, 20, "그래서 대안은 두 가지인데 하나는 결제 기능을 빼고 먼저 베타로 여는 것입니다"),
]


def texts(kept: Sequence[Candidate]) -> list[str]:
    return [one.segment.text for one in kept]


def test_normal_text_is_kept_and_nothing_is_decoded_again() -> None:
    model = Model()
    kept = examine(GOOD, SPEECH, model, hotwords=("베타", "결제"))
    assert [one.segment for one in kept] == GOOD
    assert model.asked == []
    assert kept[0].stats.mean_probability == pytest.approx(VOICE)


def test_no_segments() -> None:
    assert examine([], SPEECH, Model(), hotwords=()) == ()


def test_all_fallback_attempts_are_made_if_none_helps() -> None:
    model = always(LOOP)
    kept = examine(LOOP, SPEECH, model, hotwords=("베타",))
    first, left, right, no_repeats, *drawn = model.asked
    assert first == Attempt(hotwords=False)
    assert (left.start, right.end) == (0, None)
    assert left.end == right.start
    assert 5 <= right.start <= 15
    assert (no_repeats.start, no_repeats.end, no_repeats.temperature) == (0, None, 0)
    assert no_repeats.no_repeat_ngram_size > 0
    assert [attempt.temperature for attempt in drawn] == [0.4, 0.8]
    assert not any(attempt.hotwords for attempt in model.asked)
    assert [one.segment.text for one in kept] == [segment.text for segment in LOOP]
    assert all("repetition" in one.segment.hallucination_reasons for one in kept), (
        "there is speech, so it is kept with its reasons"
    )


def test_without_hotwords_the_whole_chunk_is_not_decoded_in_the_same_way_again() -> None:
    model = always(LOOP)
    examine(LOOP, SPEECH, model, hotwords=())
    assert Attempt(hotwords=False) not in model.asked


@pytest.mark.parametrize("helps", ["prompt", "cut", "ngram", "sampling"])
def test_the_first_attempt_that_is_good_ends_the_search(helps: str) -> None:
    def answer(attempt: Attempt) -> Sequence[Segment]:
        is_cut = attempt.start > 0 or attempt.end is not None
        steps = {
            "prompt": not is_cut and not attempt.no_repeat_ngram_size and not attempt.temperature,
            "cut": is_cut,
            "ngram": attempt.no_repeat_ngram_size > 0,
            "sampling": attempt.temperature > 0,
        }
        if not steps[helps]:
            return LOOP
        return [segment for segment in GOOD if not is_cut or (segment.start > 0) == (attempt.start > 0)]

    model = Model(answer)
    kept = examine(LOOP, SPEECH, model, hotwords=("베타",))
    assert texts(kept) == [segment.text for segment in GOOD]
    assert not any(one.segment.hallucination_reasons for one in kept)
    assert len(model.asked) == {"prompt": 1, "cut": 3, "ngram": 4, "sampling": 5}[helps]


def test_the_same_text_again_ends_the_search() -> None:
    improbable = [replace(segment, avg_logprob=-1.2) for segment in GOOD]
    model = always(improbable)
    kept = examine(improbable, SPEECH, model, hotwords=("베타",))
    assert model.asked == [Attempt(hotwords=False)]
    assert [one.segment.hallucination_reasons for one in kept] == [("log_probability",)] * 2


def test_repetition_is_forbidden_only_after_a_loop() -> None:
    improbable = [replace(segment, avg_logprob=-1.2) for segment in GOOD]
    model = Model(lambda attempt: [replace(improbable[0], text=f"다른 말 {attempt.temperature}")])
    examine(improbable, SPEECH, model, hotwords=("베타",))
    assert not any(attempt.no_repeat_ngram_size for attempt in model.asked)
    assert [attempt.temperature for attempt in model.asked] == [0, 0, 0, 0.4, 0.8]


def test_only_the_suspicious_part_is_decoded_again() -> None:
    loop = [said(8 + n, 9 + n, "다음 영상에서 만나요.") for n in range(6)]
    segments = [said(0, 8, GOOD[0].text), *loop, said(15, 20, "이상으로 마치겠습니다.")]
    model = Model(lambda _: [said(8, 15, GOOD[1].text)])
    kept = examine(segments, SPEECH, model, hotwords=())
    assert model.asked == [Attempt(8, 15, hotwords=False)]
    assert texts(kept) == [GOOD[0].text, GOOD[1].text, "이상으로 마치겠습니다."]


def test_new_text_is_clipped_to_its_time() -> None:
    loop = [said(8 + n, 9 + n, "다음 영상에서 만나요.") for n in range(6)]
    segments = [said(0, 8, GOOD[0].text), *loop, said(15, 20, "이상으로 마치겠습니다.")]
    over = Model(lambda _: [said(7.97, 15.02, GOOD[1].text), said(15.02, 15.03, "네.")])
    kept = examine(segments, SPEECH, over, hotwords=())
    assert [(one.segment.start, one.segment.end) for one in kept] == [(0, 8), (8, 15), (15, 20)]
    assert all(8 <= word.start <= word.end <= 15 for word in kept[1].segment.words)


def test_an_attempt_that_covers_less_speech_is_not_enough() -> None:
    model = Model(
        lambda attempt: GOOD if attempt.temperature else [said(0, 2, "결제 모듈 연동이 끝났습니다.")]
    )
    assert texts(examine(LOOP, SPEECH, model, hotwords=())) == [segment.text for segment in GOOD]


def test_no_text_is_not_a_good_result_where_there_is_speech() -> None:
    kept = examine(LOOP, SPEECH, always([]), hotwords=())
    assert texts(kept) == [segment.text for segment in LOOP]
    assert all(one.segment.hallucination_reasons for one in kept)


@pytest.mark.parametrize(
    "segments",
    [LOOP, GOOD, [said(0, 5, "MBC 뉴스 이덕영입니다.")], [said(0, 20, "Thanks for watching! " * 20)]],
    ids=["loop", "text", "phrase", "repeated_texts phrase"],
)
def test_without_speech_all_is_dropped_without_another_attempt(segments: Sequence[Segment]) -> None:
    model = Model()
    assert examine(segments, SILENCE, model, hotwords=("베타",)) == ()
    assert model.asked == []


def test_text_outside_the_speech_is_dropped_and_the_rest_kept() -> None:
    evidence = sound((10, VOICE), (10, QUIET))
    segments = [said(0, 10, GOOD[0].text), said(10.5, 20, "시청해 주셔서 감사합니다.")]
    model = Model()
    assert texts(examine(segments, evidence, model, hotwords=())) == [GOOD[0].text]


def test_speech_in_the_gap_is_decoded_again_before_a_segment_is_dropped() -> None:
    evidence = sound((8, VOICE), (4, QUIET), (4, VOICE), (4, QUIET))
    segments = [said(0, 8, GOOD[0].text), said(16.5, 20, "시청해 주셔서 감사합니다.")]
    model = Model(lambda _: [said(12, 16, "이상으로 마치겠습니다.")])
    assert texts(examine(segments, evidence, model, hotwords=())) == [GOOD[0].text, "이상으로 마치겠습니다."]
    assert model.asked == [Attempt(8, None, hotwords=False)]


class TestPhrases:
    PHRASE = said(0, 5, "시청해 주셔서 감사합니다.")

    def test_with_clear_speech_it_is_kept(self) -> None:
        model = Model()
        (kept,) = examine([self.PHRASE], sound((5, VOICE)), model, hotwords=())
        assert kept.segment == self.PHRASE
        assert model.asked == []

    def test_over_music_it_is_dropped(self) -> None:
        model = always([self.PHRASE])
        assert examine([self.PHRASE], sound((5, MUSIC)), model, hotwords=()) == ()
        assert model.asked

    def test_with_clear_speech_and_another_reason_it_is_kept_with_reasons(self) -> None:
        improbable = replace(self.PHRASE, no_speech_prob=0.9)
        (kept,) = examine([improbable], sound((5, VOICE)), always([improbable]), hotwords=())
        assert kept.segment.hallucination_reasons == ("phrase", "no_speech")

    def test_other_text_over_music_is_kept(self) -> None:
        sung = said(0, 5, "동해물과 백두산이 마르고 닳도록")
        (kept,) = examine([sung], sound((5, MUSIC)), Model(), hotwords=())
        assert kept.segment == sung


class TestAnnouncements:
    """Real repetition in speech or song."""

    TEXT = "잠시 후 열차가 들어옵니다 한 걸음 물러나 주십시오. "

    @pytest.mark.parametrize("probability", [VOICE, MUSIC])
    def test_they_get_reasons_and_are_never_dropped(self, probability: float) -> None:
        segments = [said(5 * n, 5 * n + 5, self.TEXT.strip()) for n in range(4)]
        kept = examine(segments, sound((20, probability)), always(segments), hotwords=())
        assert len(kept) == 4
        assert all("repetition" in one.segment.hallucination_reasons for one in kept)
        assert len(finalize(kept)) == 4

    def test_a_loop_that_comes_again_after_a_cut_is_real(self) -> None:
        segments = [said(5 * n, 5 * n + 5, self.TEXT.strip()) for n in range(4)]
        evidence = sound((10, VOICE), (0.2, QUIET), (9.8, VOICE))
        evidence.levels[round(10 / FRAME_SECONDS) :][:6] = -60
        model = Model(
            lambda attempt: [one for one in segments if (one.start < 9) == (attempt.end is not None)]
        )
        assert len(examine(segments, evidence, model, hotwords=())) == 4
        assert len(model.asked) == 2


class TestHotwords:
    HOTWORDS = ("김민수 과장", "쿠버네티스", "결제 모듈")
    ECHO = said(0, 20, "김민수 과장, 쿠버네티스, 결제 모듈")

    def test_an_echo_is_replaced_by_the_text_without_hotwords(self) -> None:
        model = always(GOOD)
        assert texts(examine([self.ECHO], SPEECH, model, hotwords=self.HOTWORDS)) == [
            one.text for one in GOOD
        ]
        assert model.asked == [Attempt(hotwords=False)]

    def test_names_in_the_audio_keep_their_spelling(self) -> None:
        model = Model(lambda _: [said(0, 20, "김민서 과장, 쿠버넷티스, 결재 모듈")])
        (kept,) = examine([self.ECHO], SPEECH, model, hotwords=self.HOTWORDS)
        assert kept.segment == self.ECHO
        assert len(model.asked) == 1

    def test_an_echo_in_silence_is_dropped(self) -> None:
        assert examine([self.ECHO], SILENCE, Model(), hotwords=self.HOTWORDS) == ()

    def test_an_echo_that_is_kept_has_a_reason(self) -> None:
        (kept,) = examine([self.ECHO], SPEECH, Model(), hotwords=self.HOTWORDS)
        assert kept.segment.hallucination_reasons == ("hotwords",)


class TestFinalize:
    """The decision over a whole file."""

    CLEAR = SpeechStats(2, 0.97, 1, 1, -25)
    MUSIC = SpeechStats(2, 0.6, 1, 0, -20)
    QUIET = SpeechStats(2, 0.02, 0, 0, -50)

    def test_a_normal_meeting_is_not_changed(self) -> None:
        kept = [Candidate(said(n, n + 1, text), self.CLEAR) for n, text in enumerate(normal_text.sentences())]
        assert finalize(kept) == tuple(one.segment for one in kept)

    def test_the_audio_decides_whether_a_loop_over_chunks_is_dropped(self) -> None:
        around = [Candidate(one, self.CLEAR) for one in GOOD]
        stats = [self.CLEAR, self.QUIET, self.CLEAR, self.CLEAR]
        loop = [
            Candidate(said(30 * n, 30 * n + 2, "여기까지 듣겠습니다 그럼 다음에."), at_its_time)
            for n, at_its_time in enumerate(stats)
        ]
        final = finalize([around[0], *loop, around[1]])
        assert [one.hallucination_reasons for one in final] == [
            (),
            ("repetition",),
            ("repetition",),
            ("repetition",),
            (),
        ]

    def test_an_announcement_minutes_apart_is_no_loop(self) -> None:
        text = "여기까지 듣겠습니다 그럼 다음에."
        apart = [Candidate(said(120 * n, 120 * n + 2, text), self.CLEAR) for n in range(5)]
        assert not any(one.hallucination_reasons for one in finalize(apart))
        # only those that follow each other are a loop
        loop = [Candidate(said(900 + 3 * n, 902 + 3 * n, text), self.CLEAR) for n in range(5)]
        marked = [bool(one.hallucination_reasons) for one in finalize([*apart, *loop])]
        assert marked == [False] * 5 + [True] * 5

    def test_a_loop_of_two_sentences(self) -> None:
        pair = ["그럼 다음 안건으로 넘어가겠습니다.", "네, 그렇게 하시죠 알겠습니다."]
        final = finalize([Candidate(said(n, n + 1, pair[n % 2]), self.CLEAR) for n in range(8)])
        assert all(one.hallucination_reasons == ("repetition",) for one in final)

    def test_an_occasional_repetition_is_not_a_loop(self) -> None:
        agenda = "그럼 다음 안건으로 넘어가겠습니다."
        kept = [
            Candidate(said(n, n + 1, agenda if n % 5 == 0 else text), self.CLEAR)
            for n, text in enumerate(normal_text.sentences()[:60])
        ]
        assert not any(one.hallucination_reasons for one in finalize(kept))

    def test_video_phrases_all_over_a_meeting(self) -> None:
        def meeting(phrase: str) -> list[str]:
            kept = [
                Candidate(said(n, n + 1, phrase if n % 9 == 4 else text), self.CLEAR)
                for n, text in enumerate(normal_text.sentences()[:40])
            ]
            return [",".join(one.hallucination_reasons) for one in finalize(kept)]

        assert meeting("시청해 주셔서 감사합니다.").count("repetition,phrase") == 4
        assert set(meeting("감사합니다.")) == {""}, "a normal courtesy"

    def test_reasons_of_the_chunks_are_kept(self) -> None:
        marked = replace(GOOD[0], hallucination_reasons=("log_probability",))
        assert finalize([Candidate(marked, self.CLEAR)]) == (marked,)

    def test_nothing(self) -> None:
        assert finalize([]) == ()


@pytest.mark.slow
def test_random_text_does_not_fail_and_gives_the_same_result_twice() -> None:
    random = Random(7)
    words = [
        "네",
        "감사합니다.",
        "Thanks for watching!",
        "예산",
        "ㅋ",
        "…",
        "100",
        "\U0001f642",
        "시청해 주셔서",
        "",
    ]
    for _ in range(150):
        evidence = sound(*((random.uniform(0, 3), random.random()) for _ in range(random.randint(1, 5))))

        def write(evidence_seconds: float = evidence.seconds) -> list[Segment]:
            times = sorted(random.uniform(0, evidence_seconds) for _ in range(2 * random.randint(0, 6)))
            return [
                said(
                    start,
                    end,
                    " ".join(random.choices(words, k=random.randint(0, 30))),
                    logprob=-2 * random.random(),
                )
                for start, end in zip(times[::2], times[1::2], strict=True)
            ]

        segments, model = write(), always(write())
        first = examine(segments, evidence, model, hotwords=("예산", ""))
        assert first == examine(segments, evidence, model, hotwords=("예산", ""))
        ends = [0.0]
        for one in first:
            assert ends[-1] <= one.segment.start < one.segment.end <= evidence.seconds
            ends.append(one.segment.end)
        assert {one.text for one in finalize(first)} <= set(texts(first))
