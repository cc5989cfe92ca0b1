"""Export formats, read back by independent readers where there is one."""

import io
import json
import re
from itertools import pairwise

import av
import pytest

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.minutes.exports import EXPORT_FORMATS, export
from stt_pipeline.minutes.model import ActionItem, Minutes, minutes_from_json
from stt_pipeline.minutes.subtitles import MAX_CUE_CHARACTERS, MAX_CUE_SECONDS, subtitle_cues
from stt_pipeline.minutes.timecode import clock, timecode
from stt_pipeline.speech.transcript import Segment, Transcript, Word, segments_from_json

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
CUE_TIMES = re.compile(r"(\d{2,}):([0-5]\d):([0-5]\d)[.,](\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d)[.,](\d{3})")


@pytest.mark.parametrize("format", EXPORT_FORMATS)
@pytest.mark.parametrize("minutes", [None, MINUTES], ids=["transcript", "minutes"])
def test_every_format_takes_empty_and_full_transcripts(format: str, minutes: Minutes | None) -> None:
    empty = Transcript("en", 0.0, 0.0, "demo")
    assert export(format, name="a.wav", transcript=TRANSCRIPT, minutes=minutes).endswith("\n")
    assert isinstance(export(format, name="a.wav", transcript=empty, minutes=minutes), str)


def test_an_unknown_format_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequestError, match=r"'pdf'.*txt, srt, vtt, json, md"):
        export("pdf", name="a.wav", transcript=TRANSCRIPT)


def test_txt_has_a_line_for_each_segment_that_says_something() -> None:
    assert export("txt", name="회의.wav", transcript=TRANSCRIPT).splitlines() == [
        "회의.wav",
        "* demo 모델은 작은 어휘만 압니다.",
        "",
        "[0:00] SPEAKER_00: 그럼 회의를 시작하겠습니다.",
        "[0:02] SPEAKER_01: R&D 예산은 <미정> --> 다음 주",
        "[0:04] SPEAKER_00: 네.",
        "[0:07] 두 줄 로 온 말",
        "[100:00:00] SPEAKER_00: 백 시간째입니다.",
    ]


def cue_times(text: str) -> list[tuple[int, int]]:
    """Milliseconds of every cue."""
    rows = [[int(part) for part in match.groups()] for match in CUE_TIMES.finditer(text)]
    return [
        (((a * 60 + b) * 60 + c) * 1000 + d, ((e * 60 + f) * 60 + g) * 1000 + h)
        for a, b, c, d, e, f, g, h in rows
    ]


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_cues_are_in_order_and_never_empty(format: str) -> None:
    text = export(format, name="a.wav", transcript=TRANSCRIPT)
    times = cue_times(text)
    assert len(times) == 5 == text.count(" --> ")  # the arrow that was said is no time line
    assert all(end > start for start, end in times)
    assert all(start >= before for (_, before), (start, _) in pairwise(times))


def test_srt_is_numbered_and_names_speakers() -> None:
    blocks = export("srt", name="a.wav", transcript=TRANSCRIPT).strip().split("\n\n")
    assert blocks[0] == "1\n00:00:00,000 --> 00:00:02,000\nSPEAKER_00: 그럼 회의를 시작하겠습니다."
    assert blocks[1].splitlines()[2] == "SPEAKER_01: R&D 예산은 <미정> -> 다음 주"
    assert blocks[4].splitlines()[:2] == ["5", "100:00:00,500 --> 100:00:02,000"]
    assert [block.splitlines()[0] for block in blocks] == ["1", "2", "3", "4", "5"]


def test_vtt_has_voices_and_escapes() -> None:
    blocks = export("vtt", name="a.wav", transcript=TRANSCRIPT).strip().split("\n\n")
    assert blocks[0] == "WEBVTT"
    assert blocks[2].splitlines()[1] == "<v SPEAKER_01>R&amp;D 예산은 &lt;미정&gt; --&gt; 다음 주</v>"
    assert blocks[4].splitlines()[1] == "두 줄 로 온 말"


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_ffmpeg_reads_the_same_cues(format: str) -> None:
    transcript = TRANSCRIPT.with_segments(SEGMENTS[:5])
    text = export(format, name="a.wav", transcript=transcript)
    with av.open(io.BytesIO(text.encode()), format={"srt": "srt", "vtt": "webvtt"}[format]) as container:
        (stream,) = container.streams.subtitles
        packets = [packet for packet in container.demux(stream) if packet.size]
        read = [
            (round(float(packet.pts * packet.time_base) * 1000), bytes(packet).decode()) for packet in packets
        ]
    assert [start for start, _ in read] == [cue.start for cue in subtitle_cues(transcript)]
    assert "회의를 시작하겠습니다." in read[0][1]


def test_long_segments_become_readable_cues() -> None:
    words = tuple(Word(n * 0.5, n * 0.5 + 0.4, f" 낱말{n}", 0.9) for n in range(60))
    segment = Segment(0.0, 30.0, "".join(word.text for word in words).strip(), words, "SPEAKER_00")
    cues = subtitle_cues(Transcript("ko", 1.0, 30.0, "demo", (segment,)))
    assert len(cues) > 3
    assert all(cue.end - cue.start <= MAX_CUE_SECONDS * 1000 for cue in cues)
    assert all(len(cue.text) <= MAX_CUE_CHARACTERS for cue in cues)
    assert " ".join(cue.text for cue in cues) == segment.text


def test_overlapping_speech_keeps_every_cue() -> None:
    spans = [(0.0, 10.0), (0.0, 5.0), (3.0, 4.0), (3.0, 4.0), (9.99, 9.99)]
    segments = tuple(
        Segment(start, end, f"말 {n}", speaker="SPEAKER_00") for n, (start, end) in enumerate(spans)
    )
    cues = subtitle_cues(Transcript("ko", 1.0, 10.0, "demo", segments))
    assert sorted(cue.text for cue in cues) == [f"말 {n}" for n in range(5)]
    assert all(cue.end > cue.start for cue in cues)
    assert all(after.start >= before.end for before, after in pairwise(cues))


def test_json_holds_everything_and_goes_back() -> None:
    page = json.loads(export("json", name="회의.wav", transcript=TRANSCRIPT, minutes=MINUTES))
    assert {key: page[key] for key in ("schema", "file", "language", "duration", "model", "speakers")} == {
        "schema": 1,
        "file": "회의.wav",
        "language": "ko",
        "duration": 360_003.0,
        "model": "demo",
        "speakers": ["SPEAKER_00", "SPEAKER_01"],
    }
    assert page["notes"] == list(TRANSCRIPT.notes)
    assert segments_from_json(page["segments"]) == SEGMENTS
    assert minutes_from_json(page["minutes"]) == MINUTES


def test_md_keeps_tables_whole() -> None:
    page = export("md", name="회의.wav", transcript=TRANSCRIPT, minutes=MINUTES)
    assert page.startswith("# 예산 \\| 채용\n")
    assert "| 김 과장 | 예산안 \\| 제출 | 금요일 | 1:05 |" in page
    assert "> demo 모델은 작은 어휘만 압니다." in page
    assert "R&D 예산은 \\<미정>" in page


def test_clock_and_timecode() -> None:
    assert [clock(seconds) for seconds in (0.0, 59.99, 60.0, 3599.0, 3600.0, -1.0)] == ["0:00", "0:59", "1:00", "59:59", "1:00:00", "0:00"]  # fmt: skip
    assert timecode(3_723_004, ",") == "01:02:03,004"
    assert timecode(360_000_000, ".") == "100:00:00.000"
