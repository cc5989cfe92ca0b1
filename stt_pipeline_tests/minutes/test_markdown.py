"""Escaped text renders as it was written, in a list, a heading, a quote and a table; and most text has no backslash."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from stt_pipeline.minutes.markdown import escaped

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])

LINES = st.lists(
    st.sampled_from(
        [*r"\`*_~|<>[]()#+-=!&;:.", " ", "a", "가", "1", "10", "[0:12]", "&amp;", "](", "---", "x"]
    ),
    max_size=12,
).map("".join)


def _shown(page: str) -> list[str]:
    """Return the text of each block of a page, without marks."""
    return [_text(token) for token in MARKDOWN.parse(page) if token.type == "inline"]


def _text(token: Token) -> str:
    return "".join(child.content for child in token.children or () if child.type == "text")


@given(LINES)
@example("# plan")
@example("1. plan")
@example("---")
@example("[x] done")
@example("a\\")
@settings(max_examples=400, deadline=None)
def test_text_renders_as_it_is_written(line: str) -> None:
    text = " ".join(line.split()) or "-"
    assert _shown(f"- {escaped(text)}\n- end\n") == [text, "end"]
    assert _shown(f"# {escaped(text)}\n\nend\n") == [text, "end"]
    assert _shown(f"> {escaped(text)}\n\nend\n") == [text, "end"]
    assert _shown(f"{escaped(text)}\n\nend\n") == [text, "end"]
    cell = escaped(text, in_table=True)
    assert _shown(f"| a | b |\n| --- | --- |\n| {cell} | c |\n") == ["a", "b", text, "c"]


@pytest.mark.parametrize(
    "line",
    [
        "[0:12] SPEAKER_00: 예산안 #3을 3~5시에 <미정> 확정합니다 (R&D).",
        "snake_case_name.wav 2 * 3 = 6",
        "1.5배, a-b, C#, 100 % | 2",
    ],
)
def test_plain_text_has_no_backslash(line: str) -> None:
    assert escaped(line) == line


def test_every_block_is_one_line() -> None:
    assert not re.search(r"\s\s|\n", escaped("a\n\nb\t c"))
