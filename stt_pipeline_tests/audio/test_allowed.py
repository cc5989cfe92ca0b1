"""Which addresses are allowed: by their text, and after links are resolved."""

from pathlib import Path

import boto3
import pytest

from stt_pipeline.audio.address import Address
from stt_pipeline.audio.allowed import ALLOW_ALL, AllowedSources
from stt_pipeline.errors import ConfigurationError, InvalidRequestError


@pytest.fixture
def meetings(tmp_path: Path) -> Path:
    """An allowed folder with a recording, beside a folder with a similar name and a secret one."""
    for name in ("meetings", "meetings-old", "secret"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.wav").touch()
    return tmp_path / "meetings"


UPWARDS = [
    *("{in}/../secret", "{in}/..", "{in}/x/../../secret", "{in}/./../secret", "{in}//../secret"),
    *("{in}/%2e%2e/secret", "{in}/.%2E/secret", "{in}/%2e./secret", "{in}%2f..%2fsecret", "{in}/..%2fsecret"),
    *("{in}/%252e%252e/secret", "{in}/%25252e%25252e%25252fsecret", "{in}/%%32%65%%32%65/secret"),
    *("{in}/..\\secret", "{in}\\..\\secret", "{in}/%2e%2e%5csecret", "{in}/..%5c..%255csecret"),
    *("{in}/%c0%ae%c0%ae/secret", "{in}/%e0%80%ae%e0%80%ae/secret", "{in}/%f0%80%80%ae./secret"),
    *("{in}/..%c0%afsecret", "{in}/\uff0e\uff0e/secret", "{in}/..\uff0fsecret", "{in}/\u2025/secret"),
]
UNPRINTABLE = [
    *("{in}/\0", "{in}/a\nb", "{in}/a\r\nb", "{in}/\x1b[31m", "{in}/\x7f", "{in}/\x85", "{in}/a\u2028b"),
    *("{in}/%00", "{in}/%2500", "{in}/%252500.wav", "{in}/%0d%0aX: y", "{in}/%c2%85", "{in}/%e2%80%a8"),
    *("{in}/\u202egnp.exe", "{in}/%e2%80%ae", "{in}/\u2066x\u2069", "{in}/\ud800"),
]
ELSEWHERE = [
    *("{in}-old", "{in}-old/", "{in}2", "{in}x/../meetings-old", "/", "/etc", "//etc", "/{in}"),
    *("file://", "file:///", "file:///etc/passwd", "file:////etc", "file://evil{in}", "file://evil.com/x"),
    *("file://localhost.evil{in}", "file://127.0.0.1{in}", "file:{in}", "file:/{in}"),
    *("s3://", "s3:///", "s3://audio-files-evil/2026", "s3://audio-files-evil", "s3://audio-files.evil/2026"),
    *("s3://audio-files/2025", "s3://audio-files/20260", "s3://audio-files/", "s3://audio-files"),
    *(
        "s3://AUDIO-FILES/2026",
        "s3://audio-files/%32026",
        "s3://audio-files%2f2026/",
        "s3://evil/audio-files/2026",
    ),
    *("s3://audio-files//2026", "s3://audio-files\\2026", "s3://audio-files:80/2026"),
]
OTHER_KINDS = [
    *(
        "http://audio-files/2026",
        "https://169.254.169.254/latest/meta-data",
        "ftp://host/x",
        "gs://audio-files/2026",
    ),
    *(
        "gopher://x",
        "data:audio/wav;base64,AAAA",
        "javascript:alert(1)",
        "s3a://audio-files/2026",
        "jar:file://{in}!/",
    ),
    *(" file://{in}", "://{in}", "\\\\server\\share", "C:\\meetings", "zip://{in}"),
]
WITH_CREDENTIALS = [
    *(
        "s3://AKIA:sEcReT@audio-files/2026",
        "s3://sEcReT@audio-files/2026",
        "s3://AKIA%3AsEcReT%40audio-files/2026",
    ),
    *("file://root:sEcReT@localhost{in}", "file://:sEcReT@{in}", "s3://audio-files@sEcReT/2026"),
]
RELATIVE = ["meetings", "./meetings", ".", "~", "~/meetings", "~root", "$HOME", "", " ", "{in}"[:0] + "%2f"]
TOO_LONG = [
    "{in}/" + "a" * 4_096,
    "{in}/" + "a/" * 2_048,
    "{in}/" + "%25" * 1_400,
    "{in}/%" + "25" * 9 + "41",
]


def _not_allowed(*arguments: object) -> None:
    raise AssertionError("the filesystem was read")


@pytest.mark.parametrize(
    "address",
    [*UPWARDS, *UNPRINTABLE, *ELSEWHERE, *OTHER_KINDS, *WITH_CREDENTIALS, *RELATIVE, *TOO_LONG],
    ids=lambda address: ascii(address[:40]),
)
@pytest.mark.parametrize("prefix", ["", "file://"], ids=["path", "uri"])
def test_refused_addresses_are_refused_by_their_text(
    meetings: Path, monkeypatch: pytest.MonkeyPatch, address: str, prefix: str
) -> None:
    text = address.replace("{in}", str(meetings))
    if address.startswith("{in}"):
        text = prefix + text
    allowed = AllowedSources.for_api(f"{meetings},s3://audio-files/2026")

    with monkeypatch.context() as patched, pytest.raises(InvalidRequestError) as refused:
        patched.setattr("os.path.realpath", _not_allowed)
        patched.setattr("os.scandir", _not_allowed)
        allowed.open(text)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 600
    assert "sEcReT" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        *("", "/", "//", "/.", "/2026", "/2026/", "/100%25.wav", "/100%.wav", "/a..b", "/...", "/..a", "/.hidden"),
        *("/회의 기록", "/Zoom (2)", "/a@b:c", "/50%2525", "/#1?", "/a\\b", "/~", "/👨\u200d👩\u200d👧", "/;rm -rf", "/'--"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("write", ["{}", "file://{}", "FILE://localhost{}"])
def test_unusual_names_are_allowed(meetings: Path, name: str, write: str) -> None:
    address = write.format(f"{meetings}{name}")
    folder = Address.parse(address).path if "://" in address else Path(address)
    folder.mkdir(parents=True, exist_ok=True)
    source = AllowedSources.for_api(meetings.as_uri()).open(address)
    assert Address.parse(source.uri).path == folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "address", ["s3://audio-files/2026", "s3://audio-files/2026/", "S3://audio-files/2026/a b/%2e"]
)
def test_an_allowed_prefix_is_opened(aws: str, address: str) -> None:
    boto3.client("s3").create_bucket(Bucket="audio-files")
    opened = AllowedSources.for_api("s3://audio-files/2026/").open(address)
    assert opened.uri == "s3" + address[2:].rstrip("/")


def test_the_api_allows_nothing_without_the_setting(meetings: Path) -> None:
    with pytest.raises(InvalidRequestError, match="STT_ALLOWED_SOURCES"):
        AllowedSources.for_api(" , ").open(str(meetings))


def test_users_can_use_any_folder_without_the_setting(
    meetings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(meetings)
    monkeypatch.setenv("HOME", str(meetings))
    for allowed in (AllowedSources.for_users(""), ALLOW_ALL):
        for address in (".", "../secret", "~", str(meetings)):
            allowed.open(address)


def test_the_setting_is_checked_for_users_too(meetings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(meetings.parent)
    monkeypatch.setenv("HOME", str(meetings))
    allowed = AllowedSources.for_users(str(meetings))
    for address in ("meetings", "./meetings", "~", str(meetings)):
        assert allowed.open(address).uri == meetings.as_uri()
    for address in ("secret", "meetings/../secret", "~nobody-of-this-name", "~root", "/etc"):
        with pytest.raises(InvalidRequestError):
            allowed.open(address)
    with pytest.raises(InvalidRequestError, match="home"):
        ALLOW_ALL.open("~nobody-of-this-name/x")


class TestLinks:
    def test_a_link_out_of_the_folder_is_refused_without_its_target(self, meetings: Path) -> None:
        (meetings / "out").symlink_to(meetings.parent / "secret")
        (meetings / "nowhere").symlink_to(meetings.parent / "not-there")
        (meetings / "loop").symlink_to(meetings / "loop")
        allowed = AllowedSources.for_api(str(meetings))
        for name in ("out", "out/", "nowhere", "nowhere/deeper"):
            with pytest.raises(InvalidRequestError, match="through a symbolic link") as refused:
                allowed.open(str(meetings / name))
            assert "secret" not in str(refused.value)
        with pytest.raises(InvalidRequestError):
            allowed.open(str(meetings / "loop"))

    def test_a_link_within_the_folder_is_allowed(self, meetings: Path) -> None:
        (meetings / "2026").mkdir()
        (meetings / "latest").symlink_to("2026")
        (meetings / "old").symlink_to(meetings.parent / "meetings-old")
        AllowedSources.for_api(str(meetings)).open(str(meetings / "latest"))
        AllowedSources.for_api(f"{meetings},{meetings}-old").open(str(meetings / "old"))

    def test_an_allowed_folder_may_be_a_link_itself(self, meetings: Path) -> None:
        (meetings.parent / "data").symlink_to("meetings")
        allowed = AllowedSources.for_api(str(meetings.parent / "data"))
        assert allowed.open(str(meetings.parent / "data")).uri == (meetings.parent / "data").as_uri()
        with pytest.raises(InvalidRequestError, match="in none of the allowed places"):
            allowed.open(str(meetings))

    def test_a_folder_that_becomes_a_link_later_is_refused_when_it_is_opened_again(
        self, meetings: Path
    ) -> None:
        allowed = AllowedSources.for_api(str(meetings))
        (meetings / "2026").mkdir()
        (meetings / "2026" / "a.wav").touch()
        opened = allowed.open(str(meetings / "2026"))
        (meetings / "2026").rename(meetings / "away")
        (meetings / "2026").symlink_to(meetings.parent / "secret")
        with pytest.raises(InvalidRequestError, match="through a symbolic link"):
            allowed.open(str(meetings / "2026"))
        assert list(opened.list_objects()) == []
        with (
            pytest.raises(InvalidRequestError, match="not inside"),
            opened.open_local(opened.uri + "/a.wav"),
        ):
            pass


@pytest.mark.parametrize(
    "setting",
    ["meetings", "~/meetings", "/data/../etc", "http://x/y", "s3://u:p@b/x", "/ok,relative", "file://x/y"],
)
def test_an_invalid_setting_is_named(setting: str) -> None:
    for make in (AllowedSources.for_api, AllowedSources.for_users):
        with pytest.raises(ConfigurationError, match="STT_ALLOWED_SOURCES"):
            make(setting)
