"""What readers of documents see: when, where and who, names of speakers, notes in their language, and an A4 page."""

import io
import re
from datetime import UTC, datetime, timedelta

import docx
import pytest
from docx.oxml.ns import qn
from docx.shared import Mm

from stt_pipeline.minutes.exports import ExportContent, export_format
from stt_pipeline.minutes.meeting_facts import DocumentOptions, meeting_time
from stt_pipeline.minutes.model import ActionItem, Minutes
from stt_pipeline.minutes.notes import KOREAN_NOTES, translated_note
from stt_pipeline.speech.engine import DEMO_NOTE, HOTWORDS_NOTE
from stt_pipeline.speech.transcript import Segment, Transcript

TRANSCRIPT = Transcript(
    language="ko",
    language_probability=1.0,
    duration=3605.0,
    segments=(
        Segment(0.0, 2.0, "예산안을 확정합니다.", speaker="SPEAKER_00"),
        Segment(2.0, 4.0, "네.", speaker="SPEAKER_09"),
    ),
    model="demo",
    notes=(DEMO_NOTE,),
)
MINUTES = Minutes(
    "예산 회의",
    "예산안을 확정했다.",
    (),
    (),
    (ActionItem("제출", "SPEAKER_09", None, 2.0),),
    (),
    "extractive",
)
OPTIONS = DocumentOptions(place="3층 회의실", attendees=("김 과장", "이 대리"))
NAME = "20260305_140000 주간 회의.m4a"


def written(format: str, options: DocumentOptions = OPTIONS) -> bytes:
    return export_format(format).write(ExportContent(NAME, TRANSCRIPT, MINUTES, (), options))


@pytest.mark.parametrize(
    ("name", "korean", "english"),
    [
        ("2026-03-05 주간회의.m4a", "2026년 3월 5일(목)", "2026-03-05"),
        ("20260305_140230.wav", "2026년 3월 5일(목) 14:02", "2026-03-05 14:02"),
        ("2026년 3월 5일 이사회.mp3", "2026년 3월 5일(목)", "2026-03-05"),
        ("통화 녹음 홍길동_260305_091502.m4a", "2026년 3월 5일(목) 09:15", "2026-03-05 09:15"),
        ("board 2026.3.5 09-30.wav", "2026년 3월 5일(목) 09:30", "2026-03-05 09:30"),
        ("2026-02-30.wav", "", ""),
        ("12345678901.wav", "", ""),
        ("회의 3.wav", "", ""),
    ],
)
def test_the_date_of_a_meeting_is_read_from_its_name(name: str, korean: str, english: str) -> None:
    assert (meeting_time(name, "ko"), meeting_time(name, "en")) == (korean, english)


def test_the_head_has_time_place_and_attendees() -> None:
    page = written("md").decode()
    assert page.startswith(
        "# 예산 회의\n\n- 일시: 2026년 3월 5일(목) 14:00\n- 장소: 3층 회의실\n- 참석자: 김 과장, 이 대리\n- 녹음: "
    )
    unknown = export_format("md").write(ExportContent("회의.wav", TRANSCRIPT)).decode()
    assert not {"일시", "장소", "참석자"} & set(unknown.replace(":", " ").split())


def test_a_page_has_the_same_head_names_and_notes() -> None:
    page = written("html").decode()
    facts = ExportContent(NAME, TRANSCRIPT, MINUTES, (), OPTIONS).document().facts
    assert [label for label, _ in facts] == ["일시", "장소", "참석자", "녹음", "길이", "화자"]
    assert re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", page) == list(facts)
    assert "<td>화자 10</td>" in page
    assert "demo 모델로" in page
    assert DEMO_NOTE not in page


@pytest.mark.parametrize("format", ["md", "txt", "srt", "vtt", "html"])
def test_speakers_have_names_in_texts_for_readers(format: str) -> None:
    text = written(format).decode()
    assert "화자 1" in text
    assert "화자 10" in text
    assert "SPEAKER_" not in text
    assert "Speaker 10" in written(format, DocumentOptions(language="en")).decode()


@pytest.mark.parametrize("format", ["json"])
def test_data_keeps_the_labels(format: str) -> None:
    assert "SPEAKER_09" in written(format).decode()


def test_every_note_has_a_korean_text_with_the_same_values() -> None:
    assert "demo 모델" in translated_note(DEMO_NOTE, "ko")
    assert translated_note(DEMO_NOTE, "en") == DEMO_NOTE
    note = HOTWORDS_NOTE.format(dropped=3, given=90, limit=220, words="가, 나")
    assert translated_note(note, "ko") == (
        "핫워드 90개 중 3개는 모델의 한도(220 토큰)를 넘어 쓰지 못했습니다: 가, 나."
    )
    assert translated_note("a note of another program", "ko") == "a note of another program"
    assert all(korean != english for english, korean in KOREAN_NOTES.items())
    assert "demo 모델로" in written("md").decode()


def test_a_word_document_is_an_a4_page_with_one_font_widths_and_page_numbers() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    document = docx.Document(io.BytesIO(written("docx")))
    section = document.sections[0]
    assert (section.page_width, section.page_height) == (
        pytest.approx(Mm(210), rel=1e-3),
        pytest.approx(Mm(297), rel=1e-3),
    )
    fonts = {
        fonts.get(qn(f"w:{script}"))
        for fonts in document.styles.element.iter(qn("w:rFonts"))
        for script in ("ascii", "hAnsi", "eastAsia", "cs")
    }
    assert fonts == {"맑은 고딕"}
    head, items = document.tables
    assert [cell.text for cell in head.columns[0].cells] == ["일시", "장소", "참석자", "녹음", "길이", "화자"]
    assert items.rows[1].cells[0].text == "화자 10"
    for table in document.tables:
        assert round(sum(cell.width for cell in table.rows[0].cells) / Mm(1)) == 160
    assert "PAGE" in section.footer.paragraphs[0]._p.xml
    properties = document.core_properties
    assert before <= properties.created <= before + timedelta(minutes=10)
    assert properties.modified == properties.created


def test_the_language_can_be_chosen_for_all_fixed_texts() -> None:
    page = written("md", DocumentOptions(language="en")).decode()
    assert "- Date: 2026-03-05 14:00" in page
    assert DEMO_NOTE in page
    assert "## Action items" in page
