"""Export formats, read back by independent readers where there is one."""

import io
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import docx
import pytest
from docx.oxml.ns import qn

from stt_pipeline.backends import FORMATS
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.minutes.exports import export
from stt_pipeline.minutes.model import ActionItem, Minutes, minutes_from_json
from stt_pipeline.minutes.subtitles.cues import subtitle_cues
from stt_pipeline.speech.evaluation import read_rttm
from stt_pipeline.speech.transcript import Segment, SpeakerTurn, Transcript, Word, segments_from_json

SEGMENTS = (
    Segment(0.0, 2.5, " 그럼 회의를 시작하겠습니다.", (Word(0.0, 2.5, " 그럼", 0.9),), "SPEAKER_00"),
    Segment(2.0, 4.0, "R&D 예산은 <미정> --> 다음 주", speaker="SPEAKER_01"),
    Segment(4.0, 4.0, "네.", speaker="SPEAKER_00"),
    Segment(5.0, 6.0, "   ", speaker="SPEAKER_00"),
    Segment(7.0, 8.0, "두 줄\n로 온\n\n말", speaker=None),
    Segment(360_000.5, 360_002.0, "백 시간째입니다.", speaker="SPEAKER_00"),
)
TRANSCRIPT = Transcript("ko", 0.98, 360_003.0, "demo", SEGMENTS, ("demo 모델은 작은 어휘만 압니다.",))
MINUTES = Minutes(
    "예산 | 채용",
    "요약.",
    ("예산",),
    ("결정.",),
    (ActionItem("예산안 | 제출", "김 과장", "금요일", 65.0),),
    ("예산",),
)
TURNS = (SpeakerTurn(0.0, 2.5, "SPEAKER_00"), SpeakerTurn(2.0, 4.0, "SPEAKER_01"))
CUE_TIMES = re.compile(r"(\d{2,}):([0-5]\d):([0-5]\d)[.,](\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d)[.,](\d{3})")


def test_an_unknown_format_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequestError, match=f"'pdf'.*{', '.join(FORMATS)}"):
        export("pdf", name="a.wav", transcript=TRANSCRIPT)


def test_txt_has_a_line_for_each_segment_with_text() -> None:
    assert export("txt", name="회의.wav", transcript=TRANSCRIPT).decode().splitlines() == [
        "회의.wav",
        "* demo 모델은 작은 어휘만 압니다.",
        "",
        "[0:00] 화자 1: 그럼 회의를 시작하겠습니다.",
        "[0:02] 화자 2: R&D 예산은 <미정> --> 다음 주",
        "[0:04] 화자 1: 네.",
        "[0:07] 두 줄 로 온 말",
        "[100:00:00] 화자 1: 백 시간째입니다.",
    ]


def cue_times(text: str) -> list[tuple[int, int]]:
    """Milliseconds of every cue."""
    rows = [[int(part) for part in match.groups()] for match in CUE_TIMES.finditer(text)]
    return [
        (((a * 60 + b) * 60 + c) * 1000 + d, ((e * 60 + f) * 60 + g) * 1000 + h)
        for a, b, c, d, e, f, g, h in rows
    ]


WITHOUT_NOTES = replace(TRANSCRIPT, notes=())


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_cues_are_in_order_and_never_empty(format: str) -> None:
    text = export(format, name="a.wav", transcript=WITHOUT_NOTES).decode()
    times = cue_times(text)
    assert len(times) == 5 == text.count(" --> ")  # the arrow in the text is not a time line
    assert all(end > start for start, end in times)
    assert all(start >= before for (_, before), (start, _) in pairwise(times))


def test_srt_is_numbered_and_names_speakers() -> None:
    blocks = export("srt", name="a.wav", transcript=WITHOUT_NOTES).decode().strip().split("\n\n")
    assert blocks[0].splitlines() == [
        "1",
        "00:00:00,000 --> 00:00:01,917",
        "화자 1: 그럼 회의를",
        "시작하겠습니다.",
    ]
    assert "-->" not in "".join(blocks[1].splitlines()[2:])
    assert blocks[1].splitlines()[2:] == ["화자 2: R&D 예산은", "<미정> -> 다음 주"]
    assert blocks[4].splitlines()[:2] == ["5", "100:00:00,500 --> 100:00:02,000"]
    assert [block.splitlines()[0] for block in blocks] == ["1", "2", "3", "4", "5"]


def test_vtt_has_voices_and_escapes() -> None:
    blocks = export("vtt", name="a.wav", transcript=WITHOUT_NOTES).decode().strip().split("\n\n")
    assert blocks[0] == "WEBVTT"
    assert blocks[2].splitlines()[1] == "<v 화자 2>R&amp;D 예산은 &lt;미정&gt; --&gt; 다음 주</v>"
    assert blocks[4].splitlines()[1] == "두 줄 로 온 말"


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_ffmpeg_reads_the_same_cues(format: str) -> None:
    transcript = WITHOUT_NOTES.with_segments(SEGMENTS[:5])
    text = export(format, name="a.wav", transcript=transcript).decode()
    with av.open(io.BytesIO(text.encode()), format={"srt": "srt", "vtt": "webvtt"}[format]) as container:
        (stream,) = container.streams.subtitles
        packets = [packet for packet in container.demux(stream) if packet.size]
        read = [
            (round(float(packet.pts * packet.time_base) * 1000), bytes(packet).decode()) for packet in packets
        ]
    assert [start for start, _ in read] == [
        cue.start for cue in subtitle_cues(transcript, labels_in_text=format == "srt")
    ]
    assert "시작하겠습니다." in read[0][1]


def test_overlapping_speech_keeps_every_cue() -> None:
    spans = [(0.0, 10.0), (0.0, 5.0), (3.0, 4.0), (3.0, 4.0), (9.99, 9.99)]
    segments = tuple(Segment(start, end, f"말 {n}") for n, (start, end) in enumerate(spans))
    cues = subtitle_cues(Transcript("ko", 1.0, 10.0, "demo", segments))
    assert sorted(line for cue in cues for line in cue.lines) == [f"말 {n}" for n in range(5)]
    assert all(cue.end > cue.start for cue in cues)
    assert all(after.start >= before.end for before, after in pairwise(cues))


def test_json_holds_everything_and_goes_back() -> None:
    page = json.loads(export("json", name="회의.wav", transcript=TRANSCRIPT, minutes=MINUTES))
    assert {key: page[key] for key in ("schema", "file", "language", "duration", "model", "speakers")} == {
        "schema": 2,
        "file": "회의.wav",
        "language": "ko",
        "duration": 360_003.0,
        "model": "demo",
        "speakers": ["SPEAKER_00", "SPEAKER_01"],
    }
    assert page["detected_language"] is page["detected_language_probability"] is None
    assert page["notes"] == list(TRANSCRIPT.notes)
    assert segments_from_json(page["segments"]) == SEGMENTS
    assert minutes_from_json(page["minutes"]) == MINUTES


def test_md_keeps_tables_whole() -> None:
    page = export("md", name="회의.wav", transcript=TRANSCRIPT, minutes=MINUTES).decode()
    assert page.startswith("# 예산 | 채용\n")
    assert "| 김 과장 | 예산안 \\| 제출 | 금요일 | 1:05 |" in page
    assert "> demo 모델은 작은 어휘만 압니다." in page
    assert "R&D 예산은 <미정>" in page


def test_docx_has_minutes_table_and_transcript_in_a_korean_font() -> None:
    content = export("docx", name="회의.wav", transcript=TRANSCRIPT, minutes=MINUTES)
    page = docx.Document(io.BytesIO(content))
    paragraphs = [paragraph.text for paragraph in page.paragraphs]
    assert paragraphs[:2] == ["예산 | 채용", TRANSCRIPT.notes[0]]
    assert [text for text in paragraphs if text in ("요약", "안건", "결정 사항", "할 일", "핵심어", "녹취록")] == ["요약", "안건", "결정 사항", "할 일", "핵심어", "녹취록"]  # fmt: skip
    assert paragraphs[-5:] == [
        "[0:00] 화자 1: 그럼 회의를 시작하겠습니다.",
        "[0:02] 화자 2: R&D 예산은 <미정> --> 다음 주",
        "[0:04] 화자 1: 네.",
        "[0:07] 두 줄 로 온 말",
        "[100:00:00] 화자 1: 백 시간째입니다.",
    ]
    head, table = page.tables
    assert [[cell.text for cell in row.cells] for row in head.rows] == [
        ["녹음", "회의.wav"],
        ["길이", "100:00:03"],
        ["화자", "화자 1, 화자 2"],
    ]
    assert [[cell.text for cell in row.cells] for row in table.rows] == [
        ["담당", "할 일", "기한", "시각"],
        ["김 과장", "예산안 | 제출", "금요일", "1:05"],
    ]
    fonts = list(page.styles.element.iter(qn("w:rFonts")))
    assert fonts
    assert all(font.get(qn("w:eastAsia")) == "맑은 고딕" for font in fonts)
    assert not any(font.get(qn("w:eastAsiaTheme")) for font in fonts)
    assert page.core_properties.title == "예산 | 채용"


def test_docx_replaces_characters_that_xml_does_not_allow() -> None:
    bad = "a\x00b\x08c\x1bd\ufffee\ud800f\x7f]]>&<w:p/>"
    transcript = Transcript("ko", 1.0, 1.0, "demo", (Segment(0.0, 1.0, bad, speaker=bad),), (bad,))
    minutes = Minutes(bad * 300, bad, (bad,), (bad,), (ActionItem(bad, bad, bad),), (bad,))
    page = docx.Document(io.BytesIO(export("docx", name=bad, transcript=transcript, minutes=minutes)))
    assert page.paragraphs[-1].text.endswith("a�b�c�d�e�f\x7f]]>&<w:p/>")


def test_possible_hallucinations_are_marked_in_documents_and_listed_in_json() -> None:
    doubted = replace(SEGMENTS[2], hallucination_reasons=("repetition",), raw_text="네")
    said = replace(
        TRANSCRIPT.with_segments([SEGMENTS[0], doubted]),
        speech_seconds=4.0,
        untranscribed_speech_seconds=1.5,
        quality=0.75,
    )
    page = json.loads(export("json", name="a.wav", transcript=said))
    assert segments_from_json(page["segments"]) == said.segments
    assert (page["quality"], page["speech_seconds"], page["untranscribed_speech_seconds"]) == (0.75, 4.0, 1.5)
    md = export("md", name="a.wav", transcript=said).decode()
    assert "[0:04] 화자 1: 네. (?)\n" in md and md.count("(?)") == 1
    document = docx.Document(io.BytesIO(export("docx", name="a.wav", transcript=said)))
    assert [p.text for p in document.paragraphs if "(?)" in p.text] == ["[0:04] 화자 1: 네. (?)"]
    for kind in ("txt", "srt", "vtt"):
        assert export(kind, name="a.wav", transcript=said).decode().count("네. (?)") == 1


def test_rttm_holds_the_turns_under_a_name_without_spaces(tmp_path: Path) -> None:
    text = export("rttm", name="주간 회의 v1.2.wav", transcript=TRANSCRIPT, turns=TURNS)
    assert text.decode().splitlines()[0] == (
        "SPEAKER 주간_회의_v1.2 1 0.000 2.500 <NA> <NA> SPEAKER_00 <NA> <NA>"
    )
    path = tmp_path / "a.rttm"
    path.write_bytes(text)
    assert read_rttm(path) == TURNS
