"""Addresses: their text, the way back to a path or key, and how they are displayed."""

import os
import unicodedata
from pathlib import Path

import pytest

from stt_pipeline.audio.address import Address, display_name, display_path
from stt_pipeline.errors import InvalidRequestError

NAMES = [
    "plain.mp3",
    "two words.mp3",
    unicodedata.normalize("NFC", "이사회 회의.mp3"),
    unicodedata.normalize("NFD", "이사회 회의.mp3"),
    'it\'s "quoted".mp3',
    "🎙️ 👩‍💼.mp3",
    "100%25 #1?.mp3",
    "line\nbreak\t.mp3",
    os.fsdecode(b"caf\xe9.mp3"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_local_address_is_ascii_and_gives_the_path_again(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    uri = str(Address.of_path(path))
    assert uri.isascii() and uri.isprintable()
    assert Address.parse(uri).path == path


@pytest.mark.parametrize("name", NAMES)
def test_a_display_name_can_be_stored_and_printed(name: str, tmp_path: Path) -> None:
    shown = display_name(str(Address.of_path(tmp_path / name)))
    assert shown == display_name(tmp_path / name)
    shown.encode("utf-8")
    assert unicodedata.is_normalized("NFC", shown)
    assert "\n" not in shown
    assert shown.endswith(".mp3")


def test_display_names_stay_readable() -> None:
    assert display_name(unicodedata.normalize("NFD", "/a/회의.mp3")) == unicodedata.normalize(
        "NFC", "회의.mp3"
    )
    assert display_name("s3://bucket/2024/100%25 회의.mp3") == "100%25 회의.mp3"
    assert display_name(Path(os.fsdecode(b"/a/caf\xe9.mp3"))) == "caf\ufffd.mp3"


def test_paths_within_a_source_are_displayed(tmp_path: Path) -> None:
    uri = str(Address.of_path(tmp_path / unicodedata.normalize("NFD", "월요일") / "a\nb.mp3"))
    assert (
        display_path(uri, str(Address.of_path(tmp_path)))
        == unicodedata.normalize("NFC", "월요일") + "/a\ufffdb.mp3"
    )
    assert display_path("file:///elsewhere/a.mp3", str(Address.of_path(tmp_path))) == "/elsewhere/a.mp3"
    assert display_path("s3://bucket/week/a b.mp3", "s3://bucket/") == "week/a b.mp3"
    assert display_path("s3://bucket/week//a+%25.mp3", "s3://bucket/week") == "/a+%25.mp3"
    assert display_path("s3://bucket/a.mp3", "s3://lists/all.csv") == "s3://bucket/a.mp3"


def test_addresses_typed_by_hand() -> None:
    assert Address.parse("file:///data/my meetings#1?.mp3").path == Path("/data/my meetings#1?.mp3")
    assert Address.parse("file://localhost/data").path == Path("/data")


@pytest.mark.parametrize(
    "uri", ["file://server/share", "file://relative", "s3://bucket/a.mp3", "file:///a%00b", "/data"]
)
def test_other_addresses_are_not_local(uri: str) -> None:
    with pytest.raises(InvalidRequestError):
        print(Address.parse(uri).path)
