"""Subtitles as an editor wants them: properties of many random transcripts, and the cuts of some sentences."""

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.minutes.exports import export
from stt_pipeline.minutes.subtitles.cues import subtitle_cues
from stt_pipeline.minutes.subtitles.options import SubtitleOptions
from stt_pipeline.minutes.subtitles.timing import Cue
from stt_pipeline.speech.transcript import Segment, TimeSpan, Transcript, Word

VOCABULARY = {
    "ko": "그럼 이번 주 예산 회의를 시작하겠습니다. 보고서 초안은 다음 주 월요일까지 김 과장이 공유하고, 네. 그런데 API 2 할 수 있는 것 같습니다. "
    "확인했지만 결정하지 못했습니다. 어떤 기업이 좋은지 모르겠어요.",
    "en": "So let's start the meeting. The budget of the next year, which I sent on Monday, is not final. Yes. I think that we "
    "can decide it later because internationalization takes 12 weeks. OK?",
    "ja": "それでは会議を始めます。予算は来週の月曜日までに共有します。はい。 わかりました。「確認」しました、ありがとう。",
    "de": "Also, wir beginnen mit der Donaudampfschifffahrtsgesellschaftskapitänskajüte und dem Rechtsschutz. Ja. Gut!",
}
WIDTHS = {"ko": 32, "en": 42, "ja": 26, "de": 42}  # columns, two for a full-width character
SPEEDS = {"ko": 24, "en": 17, "ja": 8, "de": 17}  # columns a second
TIMES = re.compile(r"(\d+):(\d\d):(\d\d)[.,](\d{3}) --> (\d+):(\d\d):(\d\d)[.,](\d{3})")


def random_transcript(seed: int) -> Transcript:
    """Segments with and without words, with pauses, overlaps, unknown speakers and recordings that end within a word."""
    chance = random.Random(seed)
    language = chance.choice(sorted(VOCABULARY))
    words = VOCABULARY[language].split()
    clock, segments = chance.choice([0.0, 0.0, 3.0]), []
    for _ in range(chance.randint(1, 25)):
        speaker = chance.choice(["SPEAKER_00", "SPEAKER_00", "SPEAKER_01", "SPEAKER_02", None])
        texts = [chance.choice(words) for _ in range(chance.choice([1, 1, 4, 12, 40]))]
        pace = chance.choice([0.05, 0.2, 0.4, 1.0])
        start, spoken = clock, []
        for text in texts:
            end = start + pace * chance.uniform(0.3, 1.7)
            spoken.append(Word(start, end, f" {text}", 0.9))
            start = end + chance.choice([0.0, 0.0, 0.0, 0.3, 1.2, 4.0])
        has_words = chance.random() < 0.8
        doubt = ("repetition",) if chance.random() < 0.1 else ()
        segments.append(
            Segment(
                clock,
                spoken[-1].end,
                " ".join(texts),
                tuple(spoken) if has_words else (),
                speaker,
                hallucination_reasons=doubt,
            )
        )
        clock = max(0.0, spoken[-1].end + chance.choice([-2.0, -0.1, 0.0, 0.2, 1.0, 5.0]))
    ends = [segment.end for segment in segments]
    duration = chance.choice([max(ends) + 2.0, max(ends), max(ends) - 0.3, 0.0])
    return Transcript(language, 1.0, max(duration, 0.0), "demo", tuple(segments))


def width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(mark) else 2 if unicodedata.east_asian_width(mark) in "WF" else 1
        for mark in text
    )


def read(text: str) -> list[tuple[int, int, list[str]]]:
    """(start, end, lines) of the cues of a file, in milliseconds."""
    cues = []
    for block in text.strip().split("\n\n"):
        lines = block.splitlines()
        place = next((n for n, line in enumerate(lines[:2]) if TIMES.fullmatch(line)), None)
        if place is not None:
            found = TIMES.fullmatch(lines[place])
            assert found
            a, b, c, d, e, f, g, h = map(int, found.groups())
            cues.append(
                (((a * 60 + b) * 60 + c) * 1000 + d, ((e * 60 + f) * 60 + g) * 1000 + h, lines[place + 1 :])
            )
    return cues


def letters(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("first_seed", range(0, 60, 30))
@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_no_limit_is_broken_and_no_text_is_lost(first_seed: int, labels: bool, format: str) -> None:
    for seed in range(first_seed, first_seed + 30):
        transcript = random_transcript(seed)
        options = SubtitleOptions(speaker_labels=labels, review_notes=False)
        text = export(format, name="a.wav", transcript=transcript, subtitles=options).decode()
        cues = read(re.sub(r"</?v[^>]*>", "", text))
        for start, end, lines in cues:
            assert 0 < len(lines) <= 2, (seed, lines)
            assert all(0 < width(line) <= WIDTHS[transcript.language] for line in lines), (seed, lines)
            assert 0 <= start < end, seed
            assert end - start <= 7_000, seed
            assert transcript.duration == 0 or end <= round(1000 * transcript.duration), seed
        assert all(after[0] >= before[1] for before, after in pairwise(cues)), seed
        shown = " ".join(line for _, _, lines in cues for line in lines)
        names = re.compile(r"(?:화자|Speaker) \d+: |(?<!\S)- (?=\S)")
        assert Counter(letters(names.sub("", shown))) == Counter(letters(transcript.text)), seed


def test_notes_keep_the_limits_too() -> None:
    for seed in range(4_000, 4_040):
        transcript = random_transcript(seed)
        parts = tuple(TimeSpan(20.0 * n, 20.0 * n + 3) for n in range(seed % 14))
        transcript = replace(transcript, untranscribed_parts=parts, notes=("The recording is damaged.",))
        cues = read(export("srt", name="a.wav", transcript=transcript).decode())
        for start, end, lines in cues:
            assert 0 < len(lines) <= 2, seed
            assert all(0 < width(line) <= WIDTHS[transcript.language] for line in lines), (seed, lines)
            assert 0 <= start < end, seed
            assert transcript.duration == 0 or end <= round(1000 * transcript.duration), seed
        assert all(after[0] >= before[1] for before, after in pairwise(cues)), seed
        assert "[" in cues[0][2][0] or "]" in cues[-1][2][-1], seed


def spoken(cue: Cue) -> str:
    return " ".join(re.sub(r"^(?:- |SPEAKER_\d+:(?: |$))+", "", line) for line in cue.lines)


@pytest.mark.parametrize("first_seed", range(1_000, 1_060, 30))
def test_a_speaker_without_overlaps_keeps_the_order_of_the_text(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 30):
        transcript = random_transcript(seed)
        start, segments = 0.0, []
        for segment in transcript.segments:
            if segment.start >= start:
                segments.append(segment)
                start = segment.end
        transcript = transcript.with_segments(segments)
        cues = subtitle_cues(transcript, SubtitleOptions(review_notes=False))
        assert letters("".join(map(spoken, cues))) == letters(transcript.text), seed


@pytest.mark.parametrize("first_seed", range(2_000, 2_090, 30))
def test_a_cue_stays_as_long_as_it_is_read_where_time_allows(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 30):
        transcript = random_transcript(seed)
        cues = subtitle_cues(transcript, SubtitleOptions(review_notes=False))
        limit = round(1000 * transcript.duration) or 10**9
        late = [cue.start - 1000 * cue.pieces[0].start for cue in cues]
        assert max(late, default=0) < 7_000, seed  # of those who talk at once, one is later
        for cue, after in zip(cues, [*cues[1:], None], strict=True):
            columns = sum(map(width, cue.lines))
            wanted = max(1000 * columns / SPEEDS[transcript.language], 5_000 / 6)
            room = min(after.start - 84 if after else limit, cue.start + 7_000)
            assert cue.end - cue.start >= wanted - 1 or cue.end >= min(room, limit) - 1, (seed, cue)
        for cue, after in pairwise(cues):
            gap = after.start - cue.end
            assert gap >= 83 or after.start - cue.start < 400, (
                seed
            )  # two frames, except of a flood of short turns
            assert gap < 84 or gap >= 500 or cue.end == cue.start + 7_000, seed  # a shorter gap would flicker


def sentence(text: str, seconds: float = 6.0, speaker: str | None = None, start: float = 0.0) -> Segment:
    words = text.split()
    step = seconds / len(words)
    spoken = tuple(
        Word(start + n * step, start + (n + 1) * step, f" {word}", 0.9) for n, word in enumerate(words)
    )
    return Segment(start, start + seconds, text, spoken, speaker)


def lines_of(text: str, language: str = "ko", seconds: float = 6.0) -> list[tuple[str, ...]]:
    transcript = Transcript(language, 1.0, seconds + 5, "demo", (sentence(text, seconds),))
    return [cue.lines for cue in subtitle_cues(transcript)]


@pytest.mark.parametrize(
    ("language", "text", "cues"),
    [
        ("ko", "네. 알겠습니다.", [("네. 알겠습니다.",)]),
        (
            "ko",
            "어떤 기업이 좋은지 어떤 산업이 유망한지 그런 것에 대한 지식과 정보가 없었습니다.",
            [("어떤 기업이 좋은지", "어떤 산업이 유망한지"), ("그런 것에 대한 지식과", "정보가 없었습니다.")],
        ),
        (
            "ko",
            "참석자는 모두 2명입니다. 연말 행사 안건부터 논의하겠습니다.",
            [("참석자는 모두 2명입니다.",), ("연말 행사 안건부터", "논의하겠습니다.")],
        ),
        ("ko", "연말 행사 예산을 그러면 200만 원으로 정합시다.", [("연말 행사 예산을", "그러면 200만 원으로 정합시다.")]),
        ("ko", "우리가 그 자료를 미리 확인할 수 있을 것 같습니다.", [("우리가 그 자료를", "미리 확인할 수 있을 것 같습니다.")]),
        (
            "en",
            "I think that we can decide it next week, because the budget of the project is not final.",
            [("I think that we can decide it next week,",), ("because the budget", "of the project is not final.")],
        ),
        (
            "en",
            "We should move the whole meeting to the first day of March.",
            [("We should move the whole meeting", "to the first day of March.")],
        ),
    ],
)  # fmt: skip
def test_cuts_are_at_sentences_clauses_and_phrases(
    language: str, text: str, cues: Sequence[tuple[str, ...]]
) -> None:
    assert lines_of(text, language) == cues


def test_a_pause_cuts_a_sentence() -> None:
    first, second = sentence("보고서 초안은", 1.0), sentence("다음 주에 공유합니다.", 1.5, start=4.0)
    segment = Segment(0.0, 5.5, f"{first.text} {second.text}", first.words + second.words)
    cues = subtitle_cues(Transcript("ko", 1.0, 6.0, "demo", (segment,)))
    assert [cue.lines for cue in cues] == [(first.text,), (second.text,)]
    assert cues[0].end < 3_000  # and the text does not stay during the pause


def test_no_short_word_is_alone_where_it_can_be_with_others() -> None:
    chance = random.Random(7)
    words = [
        "그럼",
        "이번",
        "주",
        "예산",
        "회의를",
        "시작하고",
        "보고서",
        "초안은",
        "다음",
        "월요일까지",
        "김",
        "과장이",
        "공유하면",
        "됩니다",
        "네",
    ]
    for _ in range(200):
        text = " ".join(chance.choice(words) for _ in range(chance.randint(2, 40)))
        for lines in lines_of(text, seconds=30.0 * len(text) / 150):
            assert width(" ".join(lines)) > 4, (text, lines)
            assert len(lines) == 1 or all(width(line) > 4 for line in lines), (text, lines)


def test_no_word_is_cut_unless_it_is_longer_than_a_line() -> None:
    for seed in range(3_000, 3_060):
        transcript = random_transcript(seed)
        if transcript.language not in ("ko", "en"):
            continue
        cues = subtitle_cues(transcript, SubtitleOptions(speaker_labels=False, review_notes=False))
        pieces = Counter(word for cue in cues for line in cue.lines for word in line.split() if word != "-")
        assert pieces == Counter(transcript.text.split()), seed


def test_a_word_of_many_lines_is_cut_at_the_width() -> None:
    transcript = Transcript("ko", 1.0, 900.0, "demo", (Segment(0.0, 800.0, "아" * 20_000),))
    lines = [line for cue in subtitle_cues(transcript) for line in cue.lines]
    assert "".join(lines) == "아" * 20_000
    assert max(map(width, lines)) <= 32


def test_two_who_talk_at_once_are_in_one_cue() -> None:
    segments = (
        sentence("그 안건은 다음 주에", 3.0, "SPEAKER_00"),
        sentence("네, 좋습니다.", 1.0, "SPEAKER_01", start=1.0),
    )
    transcript = Transcript("ko", 1.0, 10.0, "demo", segments)
    srt = read(export("srt", name="a.wav", transcript=transcript).decode())
    assert srt == [(0, 3_000, ["화자 1: 그 안건은 다음 주에", "화자 2: 네, 좋습니다."])]
    unnamed = SubtitleOptions(speaker_labels=False)
    plain = read(export("srt", name="a.wav", transcript=transcript, subtitles=unnamed).decode())
    assert plain[0][2] == ["- 그 안건은 다음 주에", "- 네, 좋습니다."]
    vtt = export("vtt", name="a.wav", transcript=transcript).decode()
    assert "<v 화자 1>- 그 안건은 다음 주에</v>\n<v 화자 2>- 네, 좋습니다.</v>\n" in vtt
    one_line = read(
        export(
            "srt", name="a.wav", transcript=transcript, subtitles=SubtitleOptions(max_line_count=1)
        ).decode()
    )
    assert [lines for _, _, lines in one_line] == [["화자 1: 그 안건은 다음 주에"], ["화자 2: 네, 좋습니다."]]


def test_a_speaker_is_named_where_the_speaker_changes() -> None:
    texts = [
        ("좋은 아침입니다.", "SPEAKER_00"),
        ("시작할까요?", "SPEAKER_00"),
        ("네, 그러시죠.", "SPEAKER_01"),
    ]
    segments = [sentence(text, 2.0, who, start=4.5 * n) for n, (text, who) in enumerate(texts)]
    lines = [cue.lines[0] for cue in subtitle_cues(Transcript("ko", 1.0, 20.0, "demo", tuple(segments)))]
    assert lines == ["SPEAKER_00: 좋은 아침입니다.", "시작할까요?", "SPEAKER_01: 네, 그러시죠."]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "options",
    [
        SubtitleOptions(max_line_width=8, max_line_count=1, max_cue_seconds=1.0),
        SubtitleOptions(max_line_width=10, max_line_count=3),
        SubtitleOptions(max_line_width=60, max_line_count=1, max_cue_seconds=4.5),
    ],
)
def test_options_are_the_limits(seed: int, options: SubtitleOptions) -> None:
    transcript = random_transcript(seed)
    columns = (options.max_line_width or 0) * (2 if transcript.language in ("ko", "ja") else 1)
    cues = read(export("srt", name="a.wav", transcript=transcript, subtitles=options).decode())
    assert cues
    for start, end, lines in cues:
        assert len(lines) <= options.max_line_count
        assert all(width(line) <= columns for line in lines), lines
        assert end - start <= 1000 * options.max_cue_seconds


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_line_width": 3}, "max_line_width is 3: give 8 to 200 characters."),
        ({"max_line_count": 0}, "max_line_count is 0: give 1 to 10 lines."),
        ({"max_cue_seconds": 0.2}, "max_cue_seconds is 0.2: give 1 to 60 seconds."),
        ({"max_cue_seconds": float("nan")}, "max_cue_seconds is nan: give 1 to 60 seconds."),
    ],
)
def test_a_value_out_of_range_is_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=re.escape(message)):
        SubtitleOptions(**values)  # type: ignore[arg-type]
