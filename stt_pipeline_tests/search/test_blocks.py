"""Blocks of transcripts and minutes: where they are split, and that none is too large for the database."""

from itertools import pairwise

import pytest

from stt_pipeline.minutes.model import ActionItem, Minutes
from stt_pipeline.search.blocks import BLOCK_CHARACTERS, Block, minutes_blocks, transcript_blocks
from stt_pipeline.search.snippets import hits
from stt_pipeline.speech.transcript import Segment, Transcript


def blocks_of(*segments: Segment) -> list[Block]:
    return transcript_blocks(Transcript("ko", 1.0, segments[-1].end if segments else 0.0, "none", segments))


def test_a_block_has_three_minutes_and_their_lines() -> None:
    segments = [
        Segment(10.0 * n, 10.0 * n + 8, f"{n}번 안건 회의입니다.", speaker=f"SPEAKER_0{n % 2}")
        for n in range(40)
    ]
    blocks = blocks_of(*segments)
    assert [(block.number, block.start) for block in blocks] == [(0, 0.0), (1, 180.0), (2, 360.0)]
    second = blocks[1]
    assert second.text.split("\n")[0] == "18번 안건 회의입니다."
    assert second.line_starts[:2] == (180.0, 190.0)
    assert second.speakers[:2] == ("SPEAKER_00", "SPEAKER_01")


def test_positions_point_to_the_words_of_the_text() -> None:
    (block,) = blocks_of(
        Segment(0, 5, " 정기회의를\n시작합니다. "), Segment(5, 9, "회의에서 예산을 정합니다")
    )
    assert block.text == "정기회의를 시작합니다.\n회의에서 예산을 정합니다"
    assert block.positions["회의"] == (2, 4)
    assert block.positions["정기회의"] == (1, 2)
    for lexeme in ("정기", "회의", "시작", "예산"):
        for place in block.positions[lexeme]:
            assert block.text.startswith(lexeme, block.term_starts[place - 1])


def test_no_text_gives_no_block() -> None:
    assert blocks_of() == []
    assert blocks_of(Segment(0, 1, "  ")) == []


@pytest.mark.slow
def test_no_block_is_too_large_for_any_text() -> None:
    blocks = blocks_of(Segment(0, 100, "회의 " * 20_000), Segment(100, 110, "가나다라마바사" * 5_000))
    assert len(blocks) > 10
    for block in blocks:
        assert len(block.text) <= BLOCK_CHARACTERS
        assert len(block.term_starts) < 16_383
        assert len(block.line_starts) == len(block.speakers) == block.text.count("\n") + 1
    starts = [start for block in blocks for start in block.line_starts]
    assert all(before <= after for before, after in pairwise(starts))  # type: ignore[operator]
    assert starts[1] > 0


def test_minutes_are_one_block_with_times_where_they_have_some() -> None:
    minutes = Minutes(
        title="예산 회의",
        summary="예산안을 검토했다.\n다음 주에 확정한다.",
        topics=("예산",),
        decisions=("예산안 확정",),
        action_items=(ActionItem("보고서 제출", "김 과장", "금요일", 12.5),),
        keywords=("예산", "보고서"),
    )
    (block,) = minutes_blocks(minutes)
    assert block.text.split("\n")[-2:] == ["보고서 제출 · 김 과장 · 금요일", "예산 · 보고서"]
    assert block.line_starts[-2:] == (12.5, None)
    assert block.start == 12.5
    assert minutes_blocks(Minutes("", "")) == []


def test_hits_mark_whole_words_and_escape_the_rest() -> None:
    text = "<b>회의에서</b> & 예산\n다른 줄\n정기회의를 열고"
    found = hits(text, [3, 18 + len("다른 줄") + 1, 19], [0.0, 5.0, 9.0], ["SPEAKER_00", None, "SPEAKER_01"])
    assert found[0].snippet == "<mark>&lt;b&gt;회의에서&lt;/b&gt;</mark> &amp; 예산"
    assert (found[0].start, found[0].speaker) == (0.0, "SPEAKER_00")
    assert all("<mark>" in hit.snippet for hit in found)


def test_a_long_line_is_cut_around_its_first_word() -> None:
    text = "앞말 " * 100 + "회의에서 " + "뒷말 " * 100
    (hit,) = hits(text.strip(), [300], [0.0], [None])
    assert hit.snippet.startswith("… 앞말 ")
    assert hit.snippet.endswith(" …")
    assert "<mark>회의에서</mark>" in hit.snippet
    assert len(hit.snippet) < 230


def test_a_word_that_alone_is_too_long_is_cut() -> None:
    (hit,) = hits("가" * 900, [450], [0.0], [None])
    assert "<mark>" in hit.snippet
    assert len(hit.snippet) < 230


def test_only_the_first_lines_are_shown() -> None:
    text = "\n".join(["회의"] * 20)
    found = hits(text, range(0, 60, 3), list(range(20)), [None] * 20)
    assert [hit.start for hit in found] == [0, 1, 2, 3, 4]
