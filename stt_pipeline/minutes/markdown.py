"""Escapes text for Markdown (CommonMark with GitHub's tables and strikethrough), only where a mark would have a meaning.

A transcript is read as plain text, too: ``[0:12] SPEAKER_00`` needs no backslash.
"""

import re
import string
from typing import Final

_PUNCTUATION: Final = re.escape(string.punctuation)

_MARKS: Final = re.compile(
    rf"""
      \\(?=[{_PUNCTUATION}]|$)     # an escape, or a line break at the end of the line
    | `
    | (?<!\s)\*|\*(?!\s)          # emphasis, unless spaces are around it
    | (?<!\w)_(?!\s)|(?<!\s)_(?!\w)   # emphasis, except within a word
    | <(?=[A-Za-z/!?])            # HTML or an autolink
    | \](?=[(:\[])                # a link, or the definition of one
    | &(?=\#?\w+;)                # an entity
    | \#(?=\#*$)                  # the closing sequence of a heading
    """,
    re.VERBOSE,
)

_START: Final = re.compile(
    r"""
      (?:[-+*=]|\#{1,6})(?=\s|$)  # a list, a heading
    | >
    | (?=(?:[-*_]\s*){3,}$)[-*_]  # a rule
    | [-=](?=[-=]*$)              # the underline of a heading
    | \[(?=[ xX]\])               # a task
    | \|
    """,
    re.VERBOSE,
)
_NUMBERED: Final = re.compile(r"(\d{1,9})([.)])(?=\s|$)")


def escaped(text: str, *, in_table: bool = False) -> str:
    """Return ``text`` on one line that renders as it is written, at the start of a block or of a table's cell."""
    line = " ".join(text.split())
    if in_table:
        return _marks_escaped(line).replace("|", r"\|")
    if numbered := _NUMBERED.match(line):
        return f"{numbered[1]}\\{numbered[2]}{_marks_escaped(line[numbered.end() :])}"
    if start := _START.match(line):
        mark = start[0][0]
        return f"\\{mark}{_marks_escaped(line[1:])}"
    return _marks_escaped(line)


def _marks_escaped(line: str) -> str:
    line = _MARKS.sub(lambda mark: f"\\{mark[0]}", line)
    # one tilde is a range, as in 3~5; two can strike out the text between them
    return line.replace("~", r"\~") if line.count("~") > 1 else line
