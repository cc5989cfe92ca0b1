"""What is missing or doubtful is said in every export: how many seconds, where, and in the place itself."""

import io
import json
import re
from dataclasses import replace

import docx
import pytest

from stt_pipeline.backends import FORMATS
from stt_pipeline.minutes.exports import ExportContent, export, export_format
from stt_pipeline.minutes.meeting_facts import DocumentOptions
from stt_pipeline.minutes.missing import places, review_notes
from stt_pipeline.minutes.subtitles.options import SubtitleOptions
from stt_pipeline.speech.evaluation import read_rttm
from stt_pipeline.speech.transcript import Segment, SpeakerTurn, TimeSpan, Transcript

TRANSCRIPT = Transcript(
    "ko",
    1.0,
    260.0,
    "demo",
    (
        Segment(3.0, 5.0, "회의를 시작합니다.", speaker="SPEAKER_00"),
        Segment(20.0, 22.0, "시청해 주셔서 감사합니다.", hallucination_reasons=("known_hallucination",)),
        Segment(230.0, 232.0, "마칩니다.", speaker="SPEAKER_00"),
    ),
    ("The recording is damaged.",),
    speech_seconds=120.0,
    untranscribed_speech_seconds=7.2,
    untranscribed_parts=(TimeSpan(12.0, 15.4), TimeSpan(220.0, 224.0)),
    quality=0.55,
    detected_language="en",
    detected_language_probability=0.93,
)
NOTES = {
    "ko": [
        "말소리 7초에 글이 없습니다: 0:12-0:15, 3:40-3:44",
        "1곳은 녹음에 없는 말일 수 있습니다: 0:20-0:22",
        "글의 언어는 ko, 감지된 말소리의 언어는 en입니다(확률 0.93).",
        "음성 인식 모델의 확신이 낮습니다(1점 만점에 0.55점).",
    ],
    "en": [
        "7 s of speech without text: 0:12-0:15, 3:40-3:44",
        "1 passage may not be in the recording: 0:20-0:22",
        "The text is in ko, but en was detected in the speech (probability 0.93).",
        "The model was not sure of its words (0.55 of 1).",
    ],
}
TURNS = (SpeakerTurn(3.0, 5.0, "SPEAKER_00"),)


def text_of(format: str, language: str, transcript: Transcript = TRANSCRIPT, **options: bool) -> str:
    content = ExportContent(
        "회의.wav",
        transcript,
        None,
        TURNS,
        DocumentOptions(language),
        subtitles=SubtitleOptions(max_line_width=100, max_line_count=4, **options),  # type: ignore[arg-type]
    )
    written = export_format(format).write(content)
    if format == "docx":
        return "\n".join(paragraph.text for paragraph in docx.Document(io.BytesIO(written)).paragraphs)
    return written.decode()


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("format", [name for name in FORMATS if name != "json"])
def test_every_format_says_what_is_missing_or_doubtful(format: str, language: str) -> None:
    text = text_of(format, language)
    plain = " ".join(re.sub(r"\d\d:\d\d:\d\d,\d{3} --> .*|^\d+$", "", text, flags=re.M).split())
    if format == "rttm":
        plain = plain.replace("_", " ")
    for note in [*NOTES[language], "The recording is damaged."]:
        assert note in plain, (format, note)


@pytest.mark.parametrize("format", list(FORMATS))
def test_a_complete_transcript_has_no_notes(format: str) -> None:
    complete = Transcript("ko", 1.0, 9.0, "demo", TRANSCRIPT.segments[:1], speech_seconds=2.0, quality=0.95)
    assert review_notes(complete, "ko") == []
    text = text_of(format, "ko", complete)
    assert not re.search(r"NOTE|^\* [^{]*$|^> |\[…|;;|\(\?\)|class=\"note\"", text, flags=re.M), text


@pytest.mark.parametrize(
    ("language", "first", "second"),
    [
        ("ko", "[… 말소리 3초, 글 없음 …]", "[… 말소리 4초, 글 없음 …]"),
        ("en", "[… 3 s of speech without text …]", "[… 4 s of speech without text …]"),
    ],
)
@pytest.mark.parametrize("format", ["txt", "md", "html", "docx", "vtt"])
def test_missing_speech_is_shown_in_its_place(format: str, language: str, first: str, second: str) -> None:
    text = text_of(format, language)
    order = [text.index(part) for part in ("시작합니다", first, "감사합니다", second, "마칩니다")]
    assert order == sorted(order)
    assert len(re.findall(r"\(\?\)", text)) == 1
    assert "감사합니다. (?)" in text


def test_json_has_the_parts_and_the_notes() -> None:
    page = json.loads(text_of("json", "ko"))
    assert page["untranscribed_parts"] == [{"start": 12.0, "end": 15.4}, {"start": 220.0, "end": 224.0}]
    assert page["quality_notes"] == NOTES["en"]


def test_ten_places_are_named_the_longest_and_in_order() -> None:
    parts = [TimeSpan(60.0 * n, 60.0 * n + 1 + n % 13) for n in range(13)]
    text = places(parts, "en")
    assert text.startswith("3:00-3:04, 4:00-4:05, ")
    assert text.endswith("12:00-12:13, and 3 more")
    assert text.count("-") == 10
    assert places(parts, "ko").endswith("그 밖 3곳")
    assert places([TimeSpan(3.1, 3.8)], "en") == "0:03"


def test_little_speech_without_text_is_not_worth_a_note() -> None:
    assert review_notes(replace(TRANSCRIPT, untranscribed_parts=()), "en")[0].startswith("7 s of speech")
    edges = replace(TRANSCRIPT, untranscribed_parts=(), untranscribed_speech_seconds=1.5)
    assert not [note for note in review_notes(edges, "en") if "without text" in note]


def test_rttm_with_notes_is_read_by_readers_without_comments(tmp_path) -> None:  # type: ignore[no-untyped-def]
    text = text_of("rttm", "ko")
    path = tmp_path / "a.rttm"
    path.write_text(text)
    assert read_rttm(path) == TURNS
    turn, *comments = text.splitlines()
    assert turn.startswith("SPEAKER")
    assert comments
    assert all(comment.startswith(";;") and len(comment.split()) == 1 for comment in comments)


def srt_blocks(transcript: Transcript, **options: bool) -> list[list[str]]:
    return [block.splitlines() for block in text_of("srt", "ko", transcript, **options).strip().split("\n\n")]


def test_srt_shows_notes_before_the_first_speech() -> None:
    blocks = srt_blocks(TRANSCRIPT)
    first_speech = next(n for n, block in enumerate(blocks) if "시작합니다" in block[-1])
    assert first_speech >= 1
    assert blocks[0][1].startswith("00:00:00,000 --> ")
    assert blocks[first_speech][1] == "00:00:03,000 --> 00:00:05,000"
    assert [block[0] for block in blocks] == [str(n + 1) for n in range(len(blocks))]


def test_srt_without_a_pause_shows_notes_first_and_briefly() -> None:
    segments = tuple(Segment(3.0 * n, 3.0 * n + 3, f"{n}번 안건을 논의합니다.") for n in range(5))
    transcript = replace(TRANSCRIPT, segments=segments, duration=15.0)
    blocks = srt_blocks(transcript)
    speech = [block[1] for block in blocks if "논의합니다" in block[-1]]
    assert speech[0] < "00:00:02,500"
    assert speech[1].startswith("00:00:03,000")  # only the first one waits
    assert "[The recording is damaged.]" in blocks[0][2]


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_a_final_version_can_be_without_notes(format: str) -> None:
    text = text_of(format, "ko", review_notes=False)
    assert not re.search(r"NOTE|\(\?\)|글이 없습니다|damaged", text)
    assert text.count(" --> ") == 3


def test_a_comment_of_vtt_cannot_become_a_cue() -> None:
    bad = replace(TRANSCRIPT, notes=("a --> b\n\n00:00:01.000 --> 00:00:02.000\nc",))
    text = export("vtt", name="a.wav", transcript=bad).decode()
    assert text.count(" --> ") == 3
    assert "NOTE a -> b 00:00:01.000 -> 00:00:02.000 c\n" in text
