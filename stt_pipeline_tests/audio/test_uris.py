import os
import unicodedata
from pathlib import Path

import pytest

from stt_pipeline.audio.uris import display_name, display_path, file_uri, path_from_uri
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
def test_an_address_is_ascii_and_leads_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    uri = file_uri(path)
    assert uri.isascii() and uri.isprintable()
    assert path_from_uri(uri) == path


@pytest.mark.parametrize("name", NAMES)
def test_a_display_name_can_be_stored_and_printed(name: str, tmp_path: Path) -> None:
    shown = display_name(file_uri(tmp_path / name))
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


def test_paths_within_a_source_are_shown_as_names_are(tmp_path: Path) -> None:
    uri = file_uri(tmp_path / unicodedata.normalize("NFD", "월요일") / "a\nb.mp3")
    assert display_path(uri, file_uri(tmp_path)) == unicodedata.normalize("NFC", "월요일") + "/a\ufffdb.mp3"
    assert display_path("file:///elsewhere/a.mp3", file_uri(tmp_path)) == "/elsewhere/a.mp3"
    assert display_path("s3://bucket/week/a b.mp3", "s3://bucket/") == "week/a b.mp3"
    assert display_path("s3://bucket/week//a+%25.mp3", "s3://bucket/week") == "/a+%25.mp3"
    assert display_path("s3://bucket/a.mp3", "s3://lists/all.csv") == "s3://bucket/a.mp3"


def test_addresses_typed_by_hand() -> None:
    assert path_from_uri("file:///data/my meetings#1?.mp3") == Path("/data/my meetings#1?.mp3")
    assert path_from_uri("file://localhost/data") == Path("/data")


@pytest.mark.parametrize(
    "uri", ["file://server/share", "file://relative", "s3://bucket/a.mp3", "file:///a%00b", "/data"]
)
def test_what_is_no_address_of_this_machine_is_refused(uri: str) -> None:
    with pytest.raises(InvalidRequestError):
        path_from_uri(uri)
