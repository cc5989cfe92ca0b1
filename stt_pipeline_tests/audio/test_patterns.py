"""File patterns: what they match, how fast, and which are refused."""

import os
import unicodedata

import pytest

from stt_pipeline.audio.patterns import DEFAULT_PATTERN, FilePattern
from stt_pipeline.errors import InvalidRequestError


@pytest.mark.parametrize(
    ("pattern", "path", "meant"),
    [
        ("*.mp3", "a.mp3", True),
        ("*.mp3", "2024/a.mp3", False),
        ("**/*.mp3", "a.mp3", True),
        ("**/*.mp3", "2024/05/a.mp3", True),
        ("**/*.mp3", "2024/05/a.MP3", True),
        ("**/*.mp3", "a.mp3.txt", False),
        ("**/*.mp3", "/2024//a.mp3", True),
        ("2024/**/*.wav", "2024/a.wav", True),
        ("2024/**/*.wav", "2023/a.wav", False),
        ("2024/**", "2024/deep/down/anything", True),
        ("*.mp3, *.wav", "a.wav", True),
        ("*.mp3, *.wav", "a.flac", False),
        ("call-?[0-9].wav", "call-x7.wav", True),
        ("call-?[0-9].wav", "call-/7.wav", False),
        ("", "회의/녹음.m4a", True),
        (DEFAULT_PATTERN, "Zoom/회의.MP4", True),
        (DEFAULT_PATTERN, "minutes.docx", False),
        (DEFAULT_PATTERN, "._board.mp3", False),
        (DEFAULT_PATTERN, ".Trash/board.mp3", False),
        ("a(1)+b.mp3", "a(1)+b.mp3", True),
        ("{draft}.mp3", "{draft}.mp3", True),
        (",", "a.mp3", False),
        ("[z-a].mp3", "a.mp3", False),
        ("[z-a].mp3,*.wav", "a.wav", True),
        ("[!a]*", "b.mp3", True),
        ("[!a]*", "a.mp3", False),
        ("[가-나]*", "강.mp3", True),
        ("**/*", "line\nbreak.mp3", True),
        ("100%25 #$.mp3", "100%25 #$.mp3", True),
        ("É.mp3", "é.mp3", True),
    ],
)
def test_pattern(pattern: str, path: str, meant: bool) -> None:
    compiled = FilePattern(pattern)
    assert compiled.matches(path) is meant
    assert not meant or path.startswith(compiled.literal_start)


@pytest.mark.parametrize(
    ("pattern", "start"),
    [
        ("2026/05/**/*.mp3", "2026/05"),
        ("2026-05-*/x.mp3, 2026-06/**", "2026-0"),
        ("2026/**,2025/**", "202"),
        # letters have other cases, and other characters other forms
        ("calls/2026/*.mp3", ""),
        ("1é/*.mp3", "1"),
        ("12[34]/*", "12"),
        ("12?/*", "12"),
        ("**/2026/*.mp3", ""),
        ("2026/*.mp3,*.wav", ""),
        (",", ""),
        ("", ""),
    ],
)
def test_the_literal_start_of_a_pattern(pattern: str, start: str) -> None:
    assert FilePattern(pattern).literal_start == start


def test_composed_and_decomposed_korean_are_the_same() -> None:
    nfc, nfd = (unicodedata.normalize(form, "회의록.mp3") for form in ("NFC", "NFD"))
    assert nfc != nfd
    assert FilePattern(nfc).matches(nfd)
    assert FilePattern(nfd).matches(nfc)


def test_names_that_are_not_utf8_match_wildcards_only() -> None:
    name = os.fsdecode(b"caf\xe9\xff.mp3")
    assert FilePattern("").matches(name)
    assert FilePattern("caf??.mp3").matches(name)
    assert not FilePattern("caf?.mp3").matches(name)
    assert not FilePattern("caf[a-z]?.mp3").matches(name)


@pytest.mark.parametrize(
    "pattern",
    [
        "*a*a*a*a*a*a*a*a*a*a*a*b",
        "*a" * 900 + "b",
        "**/" * 600 + "b",
        "**/" + "*?" * 900 + "b",
        ",".join(["**/*?????b"] * 100),
    ],
    ids=lambda pattern: pattern[:12],
)
def test_no_pattern_takes_long(pattern: str) -> None:
    compiled = FilePattern(pattern)
    for path in ("a" * 4_000, "/".join("a" * 2_000)):
        # with backtracking these are centuries
        assert not compiled.matches(path)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("/data/*.mp3", "leaves the source"),
        ("../*.mp3", "leaves the source"),
        ("a/../../b.mp3", "leaves the source"),
        ("..\\*.mp3", "leaves the source"),
        ("**.mp3", "must stand alone"),
        ("*.{mp3,wav}", "braces"),
        ("[[:alpha:]]*", "named character class"),
        ("a\0.mp3", "control characters"),
        ("a\nb.mp3", "control characters"),
        ("a\u2028b.mp3", "control characters"),
        ("\ud800.mp3", "control characters"),
        ("*" * 2_001, "2,001 characters"),
        (",".join(["*"] * 101), "101 globs"),
        ("[z-a](?!)", "cannot be used"),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_an_invalid_pattern_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"The file pattern .*{message}"):
        FilePattern(pattern)
