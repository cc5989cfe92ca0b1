"""The contract of every export format in ``FORMATS``."""

import pytest

from stt_pipeline.backends import FORMATS
from stt_pipeline.minutes.exports import ExportFormat, export, export_format
from stt_pipeline.minutes.model import ActionItem, Minutes
from stt_pipeline.speech.transcript import Segment, SpeakerTurn, Transcript, Word

SEGMENTS = (
    Segment(0.0, 2.5, " 그럼 회의를 시작하겠습니다.", (Word(0.0, 2.5, " 그럼", 0.9),), "SPEAKER_00"),
    Segment(2.0, 4.0, "a,b;\"c\"\t<d> & 'e' --> f\n\n\x00\x1b", speaker=None),
)
TRANSCRIPT = Transcript("ko", 0.98, 4.0, "demo", SEGMENTS, ("A note.",))
MINUTES = Minutes(
    "제목", "요약.", ("예산",), ("결정.",), (ActionItem("제출", "김 과장", "금요일", 65.0),), ("예산",)
)
TURNS = (SpeakerTurn(0.0, 2.5, "SPEAKER_00"), SpeakerTurn(2.0, 4.0, "SPEAKER_01"))


@pytest.fixture(params=FORMATS)
def name(request: pytest.FixtureRequest) -> str:
    """The name of a format."""
    return str(request.param)


@pytest.fixture
def format(name: str) -> ExportFormat:
    return export_format(name)


def test_the_media_type_has_no_parameters(format: ExportFormat) -> None:
    kind, _, subtype = format.media_type.partition("/")
    assert kind and subtype and not {";", " ", "/"} & set(subtype)


@pytest.mark.parametrize("minutes", [None, MINUTES], ids=["transcript", "minutes"])
def test_a_format_writes_any_transcript(name: str, format: ExportFormat, minutes: Minutes | None) -> None:
    empty = Transcript("en", 0.0, 0.0, "demo")
    assert isinstance(export(name, name="a.wav", transcript=empty, minutes=minutes), bytes)
    full = export(name, name="주간 회의.wav", transcript=TRANSCRIPT, minutes=minutes, turns=TURNS)
    assert full
    if format.is_text:
        assert full.decode().endswith("\n")


def test_a_format_writes_what_it_declares(name: str, format: ExportFormat) -> None:
    if not format.is_text:
        pytest.skip("two writes may differ: a zip holds the time")
    with_minutes = export(name, name="a.wav", transcript=TRANSCRIPT, minutes=MINUTES)
    without = export(name, name="a.wav", transcript=TRANSCRIPT)
    assert (with_minutes != without) == format.has_minutes
    with_turns = export(name, name="a.wav", transcript=TRANSCRIPT, turns=TURNS)
    assert (with_turns != without) == format.needs_turns
