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
    ],
)
def test_pattern(pattern: str, path: str, meant: bool) -> None:
    assert FilePattern(pattern).matches(path) is meant


def test_composed_and_decomposed_korean_are_the_same() -> None:
    nfc, nfd = (unicodedata.normalize(form, "회의록.mp3") for form in ("NFC", "NFD"))
    assert nfc != nfd
    assert FilePattern(nfc).matches(nfd)
    assert FilePattern(nfd).matches(nfc)


@pytest.mark.parametrize("pattern", ["/data/*.mp3", "../*.mp3", "a/../../b.mp3", "**.mp3", "*.{mp3,wav}"])
def test_a_pattern_that_cannot_work_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidRequestError, match="file pattern"):
        FilePattern(pattern)
