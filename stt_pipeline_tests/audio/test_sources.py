"""The contract of every kind of source in `SOURCES` and of the fake, and the special cases of folders.

A new kind of source needs one entry in `BUILDERS`.
"""

import os
import pwd
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

import boto3
import pytest

from stt_pipeline.audio.address import Address, display_name, display_path
from stt_pipeline.audio.memory import MemorySource
from stt_pipeline.audio.opening import open_source
from stt_pipeline.audio.sources import Source
from stt_pipeline.backends import SOURCES
from stt_pipeline.errors import DownloadError, InvalidRequestError

Objects = Mapping[str, bytes]
OpenWith = Callable[[Objects, str], Source]
"""Adds objects to the source of a test and opens it with a pattern."""


def write(folder: Path, objects: Objects) -> None:
    for name, content in objects.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def folder_of(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue("tmp_path") / "회의 #1"
    folder.mkdir()
    return folder


def by_path(request: pytest.FixtureRequest) -> OpenWith:
    folder = folder_of(request)

    def open_(objects: Objects, pattern: str) -> Source:
        write(folder, objects)
        return open_source(str(folder), pattern)

    return open_


def by_file_address(request: pytest.FixtureRequest) -> OpenWith:
    folder = folder_of(request)

    def open_(objects: Objects, pattern: str) -> Source:
        write(folder, objects)
        return open_source(folder.as_uri(), pattern)

    return open_


def by_s3_address(request: pytest.FixtureRequest) -> OpenWith:
    bucket = request.getfixturevalue("bucket")

    def open_(objects: Objects, pattern: str) -> Source:
        for name, content in objects.items():
            boto3.client("s3").put_object(Bucket=bucket, Key=f"회의 #1/{name}", Body=content)
        return open_source(f"s3://{bucket}/회의 #1", pattern)

    return open_


def in_memory(request: pytest.FixtureRequest) -> OpenWith:
    contents: dict[str, bytes] = {}

    def open_(objects: Objects, pattern: str) -> Source:
        contents.update(objects)
        return MemorySource(contents, pattern, address="memory://recordings/회의 #1")

    return open_


BUILDERS: dict[str, Callable[[pytest.FixtureRequest], OpenWith]] = {
    "path": by_path,
    "file": by_file_address,
    "s3": by_s3_address,
    "fake": in_memory,
}


@pytest.fixture(params=sorted({"path", "fake", *SOURCES}))
def open_with(request: pytest.FixtureRequest) -> OpenWith:
    if request.param in BUILDERS:
        return BUILDERS[request.param](request)
    module = SOURCES[request.param].factory.partition(":")[0]
    example = getattr(import_module(module), "example_source", None)
    if example is None:
        pytest.fail(f"{module} has no example_source(objects), so {request.param}: is not tested.")

    def open_(objects: Objects, pattern: str) -> Source:
        return open_source(example(objects), pattern)

    return open_


def address_in(source: Source, name: str) -> str:
    return f"{source.uri}/{quote(name) if source.uri.startswith('file:') else name}"


class TestContract:
    def test_matching_objects_are_listed_in_order_of_path(self, open_with: OpenWith) -> None:
        source = open_with(
            {
                "b.mp3": b"22",
                "a/z.mp3": b"1",
                "a.mp3": b"333",
                "a/b/c.wav": b"",
                "a/notes.txt": b"no",
                "a-b.mp3": b"",
            },
            "**/*.mp3,**/*.wav",
        )
        found = list(source.list_objects())
        assert [item.uri.removeprefix(source.uri + "/") for item in found] == [
            *("a-b.mp3", "a.mp3", "a/b/c.wav", "a/z.mp3", "b.mp3"),
        ]
        assert [item.size for item in found] == [0, 3, 0, 1, 2]
        assert list(source.list_objects()) == found

    def test_a_changed_object_has_another_etag(self, open_with: OpenWith) -> None:
        [before] = open_with({"a.mp3": b"12"}, "").list_objects()
        [after] = open_with({"a.mp3": b"123"}, "").list_objects()
        assert before.uri == after.uri
        assert before.etag != after.etag

    def test_times_are_utc(self, open_with: OpenWith) -> None:
        [item] = open_with({"a.mp3": b""}, "").list_objects()
        assert item.modified_at.tzinfo is UTC
        assert abs(datetime.now(UTC) - item.modified_at) < timedelta(minutes=5)

    @pytest.mark.parametrize(
        "name",
        [
            *(
                "two words.mp3",
                'it\'s "quoted".mp3',
                "🎙️.mp3",
                "100%25 #1?.mp3",
                "a,b;c.mp3",
            ),
            *(unicodedata.normalize(form, "이사회 회의.mp3") for form in ("NFC", "NFD")),
        ],
    )
    def test_an_object_of_any_name_is_opened(self, open_with: OpenWith, name: str) -> None:
        source = open_with({name: b"sound", "other.mp3": b""}, "**/*")
        [item] = [item for item in source.list_objects() if item.size]
        assert display_name(item.uri) == unicodedata.normalize("NFC", name)
        with source.open_local(item.uri) as path:
            assert path.read_bytes() == b"sound"

    @pytest.mark.parametrize("wait", [True, False])
    def test_a_listing_continues_after_an_address(self, open_with: OpenWith, wait: bool) -> None:
        names = ["a-b.mp3", "a.mp3", "a/b/c.mp3", "a/z.mp3", "a0.mp3", "b.mp3", "회의/1.mp3", "회의/2.mp3"]
        source = open_with(dict.fromkeys(names, b""), "")
        for place in range(len(names)):
            for name in (names[place], names[place] + "."):  # the second is not there, and sorts right behind
                after = source.list_objects(after=address_in(source, name), wait=wait)
                assert [display_path(item.uri, source.uri) for item in after] == names[place + 1 :]
        with pytest.raises(InvalidRequestError):
            list(source.list_objects(after="file:///elsewhere/a.mp3"))

    def test_matches_needs_no_such_object(self, open_with: OpenWith) -> None:
        source = open_with({"a.mp3": b""}, "**/*.mp3")
        for name, meant in (("a.mp3", True), ("x/gone.mp3", True), ("a.txt", False), (".a.mp3", False)):
            assert source.matches(address_in(source, name)) is meant
        assert not source.matches(source.uri + "2/a.mp3")

    def test_a_changed_object_is_not_opened_with_the_old_etag(self, open_with: OpenWith) -> None:
        [before] = open_with({"a.mp3": b"12"}, "").list_objects()
        source = open_with({"a.mp3": b"123"}, "")
        with (
            pytest.raises(DownloadError, match=r"a\.mp3 has changed since it was listed"),
            source.open_local(before.uri, before.etag),
        ):
            pass
        [now] = source.list_objects()
        for etag in (now.etag, ""):
            with source.open_local(now.uri, etag) as path:
                assert path.read_bytes() == b"123"

    def test_an_empty_source_is_an_empty_listing(self, open_with: OpenWith) -> None:
        assert list(open_with({}, "").list_objects()) == []

    def test_a_missing_object_is_a_download_error_with_its_name(self, open_with: OpenWith) -> None:
        source = open_with({"a.mp3": b""}, "")
        with pytest.raises(DownloadError, match=r"gone\.mp3"), source.open_local(source.uri + "/gone.mp3"):
            pass

    @pytest.mark.parametrize(
        "outside", ["file:///etc/hostname", "{uri}/../x.mp3", "{uri}2/x.mp3", "s3://other/x.mp3"]
    )
    def test_an_address_outside_of_the_source_is_refused(self, open_with: OpenWith, outside: str) -> None:
        source = open_with({"a.mp3": b""}, "")
        with pytest.raises(InvalidRequestError), source.open_local(outside.format(uri=source.uri)):
            pass

    def test_all_matching_objects_are_found_without_order(self, open_with: OpenWith) -> None:
        source = open_with({"a.mp3": b"1", "b/b.mp3": b"2", "c.txt": b"3"}, "")
        found = {item for item in source.iter_unordered() if item}
        assert found == set(source.list_objects())
        assert len(found) == 2

    def test_its_address_opens_it_again(self, open_with: OpenWith) -> None:
        source = open_with({"a.mp3": b"1"}, "")
        assert source.in_progress_count == 0
        if isinstance(source, MemorySource):
            assert (
                source.uri == "memory://recordings/회의 #1"
            )  # it is passed in code, not opened by its address
        else:
            assert list(open_source(source.uri).list_objects()) == list(source.list_objects())


class TestFolder:
    def test_a_name_with_a_line_break_is_opened(self, tmp_path: Path) -> None:
        write(tmp_path, {"line\nbreak.mp3": b"sound"})
        source = open_source(str(tmp_path))
        [item] = source.list_objects()
        assert display_name(item.uri) == "line\ufffdbreak.mp3"
        with source.open_local(item.uri, item.etag) as path:
            assert path.read_bytes() == b"sound"

    def test_names_that_are_not_utf8_are_listed_and_opened(self, tmp_path: Path) -> None:
        (tmp_path / os.fsdecode(b"caf\xe9.mp3")).write_bytes(b"sound")
        source = open_source(str(tmp_path))
        [item] = source.list_objects()
        assert item.uri.endswith("/caf%E9.mp3")
        with source.open_local(item.uri) as path:
            assert path.read_bytes() == b"sound"

    def test_the_same_size_written_later_has_another_etag(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp3"
        path.write_bytes(b"12")
        [before] = open_source(str(tmp_path)).list_objects()
        path.write_bytes(b"21")
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        [after] = open_source(str(tmp_path)).list_objects()
        assert before.etag != after.etag

    def test_links_within_the_folder_are_listed_and_links_out_of_it_are_not(self, tmp_path: Path) -> None:
        inside, outside = tmp_path / "in", tmp_path / "out"
        write(inside, {"a.mp3": b"1", "sub/b.mp3": b"2"})
        write(outside, {"secret.mp3": b"3"})
        (inside / "again.mp3").symlink_to("a.mp3")
        (inside / "leak.mp3").symlink_to(outside / "secret.mp3")
        (inside / "leaks").symlink_to(outside)
        (inside / "sub" / "loop").symlink_to(inside)
        (inside / "loop.mp3").symlink_to("loop.mp3")
        (inside / "dangling.mp3").symlink_to("nowhere.mp3")
        source = open_source(str(inside))
        assert [Address.parse(item.uri).path.name for item in source.list_objects()] == [
            "a.mp3",
            "again.mp3",
            "b.mp3",
        ]
        for leak in ("leak.mp3", "leaks/secret.mp3"):
            with (
                pytest.raises(InvalidRequestError, match="not inside"),
                source.open_local(f"{source.uri}/{leak}"),
            ):
                pass

    def test_a_linked_folder_keeps_its_address(self, tmp_path: Path) -> None:
        write(tmp_path / "disk7", {"a.mp3": b"1"})
        (tmp_path / "meetings").symlink_to("disk7")
        source = open_source(str(tmp_path / "meetings"))
        [item] = source.list_objects()
        assert item.uri == (tmp_path / "meetings" / "a.mp3").as_uri()
        with source.open_local(item.uri) as path:
            assert path.read_bytes() == b"1"

    def test_only_regular_files_are_listed(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.mp3")
        (tmp_path / "folder.mp3").mkdir()
        assert list(open_source(str(tmp_path)).list_objects()) == []

    def test_a_relative_path_means_the_working_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tmp_path, {"in/a.mp3": b""})
        monkeypatch.chdir(tmp_path)
        assert open_source("./in").uri == (tmp_path / "in").as_uri()

    def test_a_missing_folder_or_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp3").touch()
        with pytest.raises(InvalidRequestError, match=r"nowhere does not exist"):
            open_source(str(tmp_path / "nowhere"))
        with pytest.raises(InvalidRequestError, match=r"a\.mp3 is a file, not a folder"):
            open_source(str(tmp_path / "a.mp3"))

    def test_a_folder_that_is_removed_during_a_listing_is_skipped(self, tmp_path: Path) -> None:
        write(tmp_path, {"a.mp3": b"1", "b/b.mp3": b"2", "c.mp3": b"3"})
        found = open_source(str(tmp_path)).list_objects()
        first = next(found)
        (tmp_path / "b" / "b.mp3").unlink()
        (tmp_path / "b").rmdir()
        assert [display_name(item.uri) for item in (first, *found)] == ["a.mp3", "c.mp3"]

    def test_an_address_that_is_too_long_for_the_index_is_skipped(self, tmp_path: Path) -> None:
        deep = "/".join(["회의" * 20] * 6)  # 360 bytes of name become 720 of address, six times
        write(tmp_path, {"a.mp3": b"1", f"{deep}/b.mp3": b"2"})
        assert [display_name(item.uri) for item in open_source(str(tmp_path)).list_objects()] == ["a.mp3"]

    def test_a_moved_file_has_the_time_of_the_move(self, tmp_path: Path) -> None:
        write(tmp_path, {"old.mp3": b"1"})
        os.utime(tmp_path / "old.mp3", (0, 0))
        [item] = open_source(str(tmp_path)).list_objects()
        assert datetime.now(UTC) - item.modified_at < timedelta(minutes=5)

    def test_an_unreadable_folder_is_refused(self, as_ordinary_user: Path) -> None:
        write(as_ordinary_user, {"closed/a.mp3": b""})
        (as_ordinary_user / "closed").chmod(0)
        with pytest.raises(InvalidRequestError, match="closed cannot be listed"):
            open_source(str(as_ordinary_user / "closed"))
        with pytest.raises(InvalidRequestError, match="closed cannot be listed"):
            list(open_source(str(as_ordinary_user)).list_objects())


@pytest.fixture
def as_ordinary_user(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of a user other than root; the test runs as this user, because root can read everything."""
    with tempfile.TemporaryDirectory() as folder:
        user = os.geteuid() or pwd.getpwnam("nobody").pw_uid
        os.chown(folder, user, -1)
        open_source(folder)  # imports what this user cannot read
        monkeypatch.chdir(folder)
        os.seteuid(user)
        try:
            yield Path(folder)
        finally:
            (Path(folder) / "closed").chmod(0o700)
            if os.getuid() == 0:
                os.seteuid(0)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3:///prefix/", "no bucket's name"),
        ("https://host/a", "not a known kind"),
        ("  ", "source is empty"),
    ],
)
def test_other_addresses_are_refused(address: str, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        open_source(address)
